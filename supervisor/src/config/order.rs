//! Who comes before whom, and the circles in that.
//!
//! Every process and every group is a node; an edge says "comes after". A group is two
//! promises at once: its members come after what the group depends on, and who depends on the
//! group comes after all its members. Hence a group has two nodes, its begin and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A process, or one end of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Process(String),
    Begin(String),
    End(String),
}

/// Edges with the place in the file that makes each.
#[derive(Debug, Default)]
pub(crate) struct Order {
    after: BTreeMap<Thing, Vec<(Thing, Range<usize>)>>,
}

/// A circle, `a → b → a`, and the place of one of its edges.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

impl Thing {
    fn name(&self) -> &str {
        match self {
            Self::Process(name) | Self::Begin(name) | Self::End(name) => name,
        }
    }
}

impl Order {
    /// `later` comes after `earlier`, because of what stands at `span`.
    pub(crate) fn add(&mut self, later: Thing, earlier: Thing, span: &Range<usize>) {
        self.after
            .entry(later)
            .or_default()
            .push((earlier, span.clone()));
    }

    /// `member` belongs to `group`.
    pub(crate) fn add_member(&mut self, group: &str, member: &str, span: &Range<usize>) {
        let process = Thing::Process(member.to_owned());
        self.add(process.clone(), Thing::Begin(group.to_owned()), span);
        self.add(Thing::End(group.to_owned()), process, span);
    }

    /// One circle for each way back that a walk finds.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut walk = Walk {
            order: self,
            done: BTreeSet::new(),
            path: Vec::new(),
            circles: Vec::new(),
        };
        for thing in self.after.keys() {
            walk.visit(thing, &(0..0));
        }
        walk.circles
    }
}

struct Walk<'a> {
    order: &'a Order,
    done: BTreeSet<&'a Thing>,
    /// The way here, each with the place of the edge that leads to it.
    path: Vec<(&'a Thing, Range<usize>)>,
    circles: Vec<Circle>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, thing: &'a Thing, span: &Range<usize>) {
        if let Some(at) = self.path.iter().position(|(seen, _)| *seen == thing) {
            return self.report(at, span);
        }
        if self.done.contains(thing) {
            return;
        }
        self.path.push((thing, span.clone()));
        for (earlier, span) in self.order.after.get(thing).into_iter().flatten() {
            self.visit(earlier, span);
        }
        self.path.pop();
        self.done.insert(thing);
    }

    fn report(&mut self, at: usize, closing: &Range<usize>) {
        let mut names: Vec<&str> = Vec::new();
        for (thing, _) in &self.path[at..] {
            if names.last() != Some(&thing.name()) {
                names.push(thing.name());
            }
        }
        if names.len() > 1 && names.first() == names.last() {
            names.pop();
        }
        names.push(names[0]);
        let first = self.path[at + 1..].first().map(|(_, span)| span.clone());
        let circle = Circle {
            text: names.join(" → "),
            span: first.unwrap_or_else(|| closing.clone()),
        };
        if !self.circles.contains(&circle) {
            self.circles.push(circle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str) -> Thing {
        Thing::Process(name.to_owned())
    }

    #[test]
    fn circles_are_told_with_their_names() {
        let mut order = Order::default();
        order.add(process("a"), process("b"), &(1..2));
        order.add(process("b"), process("c"), &(3..4));
        assert!(order.circles().is_empty());
        order.add(process("c"), process("a"), &(5..6));
        let circles = order.circles();
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].text, "a → b → c → a");
        order.add(process("x"), process("x"), &(7..8));
        assert_eq!(order.circles()[1].text, "x → x");
    }

    #[test]
    fn groups_take_part() {
        let mut order = Order::default();
        order.add_member("back", "db", &(1..2));
        order.add_member("front", "web", &(3..4));
        order.add(
            Thing::Begin("front".into()),
            Thing::End("back".into()),
            &(5..6),
        );
        assert!(order.circles().is_empty());
        order.add(process("db"), process("web"), &(7..8));
        let texts: Vec<String> = order.circles().into_iter().map(|c| c.text).collect();
        assert_eq!(texts, ["db → web → front → back → db"]);
    }
}

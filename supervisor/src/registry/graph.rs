//! Who comes before whom.
//!
//! One graph from `depends_on` of processes and groups and from consecutive pairs of
//! `start_order`. Kept free of cycles when processes are registered.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graphmap::DiGraphMap;

use crate::command::view::LinkEdge;
use crate::ids::ProcessName;
use crate::spec::{GroupSpec, ProcessSpec};

/// For each process, what must be online before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Order {
    before: BTreeMap<ProcessName, BTreeSet<ProcessName>>,
    why: BTreeMap<(ProcessName, ProcessName), String>,
}

impl Order {
    /// The order of these processes and groups. References to what does not exist are left out.
    pub(super) fn of<'a>(
        specs: impl Iterator<Item = &'a ProcessSpec> + Clone,
        groups: impl Iterator<Item = &'a GroupSpec> + Clone,
    ) -> Self {
        let names: BTreeSet<&ProcessName> = specs.clone().map(|spec| &spec.name).collect();
        let mut order = Order::default();
        for name in &names {
            order.before.entry((*name).clone()).or_default();
        }
        for spec in specs {
            for on in spec
                .config
                .depends_on
                .iter()
                .filter_map(|on| names.iter().find(|name| name.as_str() == on))
            {
                order.add(&spec.name, on, "depends_on");
            }
        }
        for group in groups.clone() {
            let why = format!("group:{}", group.name);
            let members: Vec<&ProcessName> = group
                .members
                .iter()
                .filter(|member| names.contains(*member))
                .collect();
            for pair in members.windows(2) {
                order.add(pair[1], pair[0], &why);
            }
            for on in &group.depends_on {
                let firsts: Vec<&ProcessName> = match groups.clone().find(|other| other.name == *on)
                {
                    Some(other) => other
                        .members
                        .iter()
                        .filter(|member| names.contains(*member))
                        .collect(),
                    None => names
                        .iter()
                        .copied()
                        .filter(|name| name.as_str() == on)
                        .collect(),
                };
                for (member, first) in members
                    .iter()
                    .flat_map(|member| firsts.iter().map(move |first| (member, first)))
                {
                    order.add(member, first, &why);
                }
            }
        }
        order
    }

    fn add(&mut self, from: &ProcessName, to: &ProcessName, why: &str) {
        if from != to
            && self
                .before
                .entry(from.clone())
                .or_default()
                .insert(to.clone())
        {
            self.why.insert((from.clone(), to.clone()), why.to_owned());
        }
    }

    /// What must be online before `name`.
    pub(super) fn before(&self, name: &ProcessName) -> impl Iterator<Item = &ProcessName> {
        self.before.get(name).into_iter().flatten()
    }

    /// What comes after `name`.
    pub(super) fn after<'a>(
        &'a self,
        name: &'a ProcessName,
    ) -> impl Iterator<Item = &'a ProcessName> {
        self.before
            .iter()
            .filter(move |(_, before)| before.contains(name))
            .map(|(after, _)| after)
    }

    /// All names, in no order that matters.
    pub(super) fn names(&self) -> Vec<ProcessName> {
        self.before.keys().cloned().collect()
    }

    /// All names, each after everything that comes before it.
    ///
    /// # Errors
    /// The cycle, as `a → b → a`.
    pub(super) fn sorted(&self) -> Result<Vec<ProcessName>, String> {
        let names: Vec<&ProcessName> = self.before.keys().collect();
        let place = |name: &ProcessName| names.binary_search(&name).unwrap_or_default();
        let mut graph = DiGraphMap::<usize, ()>::new();
        for (index, name) in names.iter().enumerate() {
            graph.add_node(index);
            for first in self.before(name) {
                graph.add_edge(place(first), index, ());
            }
        }
        match toposort(&graph, None) {
            Ok(order) => Ok(order
                .into_iter()
                .map(|index| names[index].clone())
                .collect()),
            Err(_) => {
                let component = kosaraju_scc(&graph)
                    .into_iter()
                    .find(|nodes| nodes.len() > 1)
                    .unwrap_or_default();
                let inside: Vec<&ProcessName> =
                    component.iter().map(|index| names[*index]).collect();
                Err(self.walk_cycle(&inside))
            }
        }
    }

    /// Follows edges inside a strongly connected set until a name comes again.
    fn walk_cycle(&self, inside: &[&ProcessName]) -> String {
        let mut path: Vec<&ProcessName> = inside.first().copied().into_iter().collect();
        while let Some(last) = path.last() {
            let Some(next) = self.before(last).find(|name| inside.contains(name)) else {
                break;
            };
            let seen = path.iter().position(|name| *name == next);
            path.push(next);
            if let Some(start) = seen {
                path.drain(..start);
                break;
            }
        }
        path.iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" → ")
    }

    /// Every edge with its reason.
    pub(super) fn edges(&self) -> Vec<LinkEdge> {
        let edge = |((from, to), why): (&(ProcessName, ProcessName), &String)| LinkEdge {
            from: from.clone(),
            to: to.clone(),
            why: why.clone(),
        };
        self.why.iter().map(edge).collect()
    }

    /// These names and everything that must come before them.
    pub(super) fn with_dependencies(&self, names: &[ProcessName]) -> Vec<ProcessName> {
        let mut all: Vec<ProcessName> = Vec::new();
        let mut open: Vec<ProcessName> = names.iter().rev().cloned().collect();
        while let Some(name) = open.pop() {
            if !all.contains(&name) {
                open.extend(self.before(&name).cloned());
                all.push(name);
            }
        }
        all
    }
}

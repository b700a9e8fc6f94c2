//! Everything that can be said against a playbook before it runs.
//!
//! Loading stops at the first flaw; here all are told, each with line and column: names that
//! do not exist, windows and patterns that cannot be read, and what has no bound. Warnings are
//! about habits: a cure that nobody measures, a playbook that never rests.
//! It is one piece although it is long: a short rule for each thing that can be said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use rhai::{AST, ASTNode, Engine, Expr, Map, Position, Scope, Stmt};
use serde::{Deserialize, Serialize};

use super::check::{KEYWORDS, called, flaw, header_at, is_name};
use super::declarative;
use super::files::Format;
use super::meta::Meta;
use super::reference::{FIELDS, FUNCTIONS, Group, is_action, near};
use crate::interpreter::Interpreter;
use crate::sandbox;

/// Longest window that a query takes.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Runs in an hour that are more than anybody wants.
const MANY: u32 = 20;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It cannot be used like this.
    Error,
    /// It works, and is probably not meant.
    Warning,
}

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad.
    pub weight: Weight,
    /// From 1; 0 when it is about the whole file.
    pub line: usize,
    /// From 1; 0 when it is about the whole line.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub text: String,
}

/// All findings about a text, in the order of the text. It is read in this process: what is
/// not to be ended by a text asks [`super::Playbooks::lint`].
pub fn lint(name: &str, format: Format, text: &str) -> Vec<Finding> {
    Interpreter::new().lint(name, format, text)
}

pub(crate) fn lint_with(
    engine: &Engine,
    known: &BTreeSet<String>,
    name: &str,
    format: Format,
    text: &str,
) -> Vec<Finding> {
    let translated;
    let (script, declared) = match format {
        Format::Rhai => (text, false),
        Format::Toml => match declarative::translate(name, text) {
            Ok(script) => {
                translated = script;
                (translated.as_str(), true)
            }
            Err(flaw) => return vec![finding(Weight::Error, flaw.at, flaw.text)],
        },
    };
    let ast = match engine.compile(script) {
        Ok(ast) => ast,
        Err(error) => return vec![finding(Weight::Error, error.1, error.0.to_string())],
    };
    let mut linter = Linter {
        all: Vec::new(),
        own: ast
            .iter_functions()
            .map(|function| (function.name.to_owned(), function.params.len()))
            .collect(),
        known: known.clone(),
        params: None,
    };
    let mut scope = Scope::new();
    let header = sandbox::timed(|| engine.run_ast_with_scope(&mut scope, &ast))
        .map_err(|error| (sandbox::message(&error), error.position()));
    match header {
        Err((text, at)) => linter.error(at, text),
        Ok(()) => linter.header(name, &ast, scope.get_value::<Map>("META")),
    }
    // What loading says, unless the walk says it better.
    if let Some(flaw) = flaw(&ast, &linter.known)
        && !flaw.text.starts_with("there is no function")
    {
        linter.error(flaw.at, flaw.text);
    }
    linter.walk(&ast);
    linter.recursion(&ast, script);
    linter.habits(&ast);
    let mut all = linter.all;
    if declared {
        // Places in the translation mean nothing to whoever wrote the declaration.
        for one in &mut all {
            (one.line, one.column) = (0, 0);
        }
    }
    all.sort_by(|a, b| {
        (a.line, a.column, a.weight, &a.text).cmp(&(b.line, b.column, b.weight, &b.text))
    });
    all.dedup();
    all
}

fn finding(weight: Weight, at: Position, text: String) -> Finding {
    Finding {
        weight,
        line: at.line().unwrap_or(0),
        column: at.position().unwrap_or(0),
        text,
    }
}

struct Linter {
    all: Vec<Finding>,
    own: BTreeSet<(String, usize)>,
    known: BTreeSet<String>,
    params: Option<BTreeSet<String>>,
}

impl Linter {
    fn error(&mut self, at: Position, text: impl Into<String>) {
        self.all.push(finding(Weight::Error, at, text.into()));
    }

    fn warn(&mut self, at: Position, text: impl Into<String>) {
        self.all.push(finding(Weight::Warning, at, text.into()));
    }

    fn header(&mut self, name: &str, ast: &AST, header: Option<Map>) {
        let at = header_at(ast);
        let Some(header) = header else {
            self.error(Position::NONE, "there is no `const META = #{…}`");
            return;
        };
        match Meta::read(&header, name, None) {
            Err(error) => self.error(at, error.to_string()),
            Ok((meta, params)) => {
                if meta.on.is_empty() {
                    self.warn(at, "META.on is empty, so nothing ever asks it");
                }
                if meta.cooldown.is_zero() {
                    self.warn(
                        at,
                        "META.cooldown is 0, so nothing keeps it from acting again and again",
                    );
                }
                if meta.max_per_hour > MANY {
                    self.warn(
                        at,
                        format!(
                            "META.max_per_hour is {}: more than {MANY} runs in an hour help nobody",
                            meta.max_per_hour
                        ),
                    );
                }
                self.params = Some(params.keys().map(ToString::to_string).collect());
            }
        }
    }

    fn walk(&mut self, ast: &AST) {
        let mut loops: BTreeMap<(usize, usize), (Position, bool)> = BTreeMap::new();
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some((call, at)) = called(path) {
                let method = matches!(path.last(), Some(ASTNode::Expr(Expr::MethodCall(..))));
                self.call(call, at, method);
            }
            match path.last() {
                Some(ASTNode::Expr(Expr::Dot(pair, ..))) if is_context(&pair.lhs) => {
                    self.field(&pair.rhs);
                }
                Some(ASTNode::Stmt(Stmt::While(flow, at)))
                    if matches!(flow.expr, Expr::Unit(_) | Expr::BoolConstant(true, _)) =>
                {
                    loops.entry(key(*at)).or_insert((*at, false));
                }
                Some(ASTNode::Stmt(Stmt::BreakLoop(..) | Stmt::Return(..))) => {
                    for node in path {
                        if let ASTNode::Stmt(Stmt::While(_, at)) = node {
                            loops.insert(key(*at), (*at, true));
                        }
                    }
                }
                _ => {}
            }
            true
        });
        for (at, ends) in loops.into_values() {
            if !ends {
                self.error(
                    at,
                    "this loop never ends: give it a `break` or loop over something that ends",
                );
            }
        }
    }

    fn call(&mut self, call: &rhai::FnCallExpr, at: Position, method: bool) {
        let name = call.name.as_str();
        if !is_name(name) || call.op_token.is_some() || KEYWORDS.contains(&name) {
            return;
        }
        let given = call.args.len();
        if !method && self.own.iter().any(|(own, _)| own == name) {
            if !self.own.contains(&(name.to_owned(), given)) {
                self.error(
                    at,
                    format!("`{name}` takes another number of arguments than {given}"),
                );
            }
            return;
        }
        let ours: Vec<_> = FUNCTIONS.iter().filter(|one| one.name == name).collect();
        let Some(first) = ours.first() else {
            if !self.known.contains(name) {
                let known = FUNCTIONS.iter().map(|one| one.name);
                let own = self.own.iter().map(|(name, _)| name.as_str());
                let hint = near(name, known.chain(own))
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                self.error(at, format!("there is no function `{name}`{hint}"));
            }
            return;
        };
        let query = first.group == Group::Query;
        if query && !method {
            self.error(
                at,
                format!("`{name}` is a question of c: write `c.{name}(…)`"),
            );
            return;
        }
        if !ours.iter().any(|one| one.params.len() == given) {
            let owner = if query { "c." } else { "" };
            let ways: Vec<String> = ours
                .iter()
                .map(|one| format!("`{owner}{name}({})`", one.params.join(", ")))
                .collect();
            self.error(
                at,
                format!(
                    "`{name}` has {given} arguments here; write {}",
                    ways.join(" or ")
                ),
            );
            return;
        }
        let Some(function) = ours.iter().find(|one| one.params.len() == given) else {
            return;
        };
        for (param, arg) in function.params.iter().zip(&call.args) {
            self.argument(name, param, arg);
        }
    }

    /// Arguments that are written out can be read now.
    fn argument(&mut self, name: &str, param: &str, arg: &Expr) {
        let Expr::StringConstant(text, at) = arg else {
            return;
        };
        match param {
            "w" | "duration" => match humantime::parse_duration(text) {
                Err(_) => self.error(*at, format!("`{text}` is no duration; write \"5m\"")),
                Ok(time) if param == "w" && time > LONGEST => {
                    self.error(
                        *at,
                        format!("`{name}` looks back a day at most, not {text}"),
                    );
                }
                Ok(time) if param == "duration" && time > Duration::from_secs(600) => {
                    self.error(*at, "a plan waits 10 minutes at most");
                }
                Ok(_) => {}
            },
            "regex" => {
                if let Err(error) = Regex::new(text) {
                    let last = error.to_string();
                    let why = last
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ");
                    self.error(*at, format!("`{text}` is no regular expression: {why}"));
                }
            }
            "severity" if !["info", "warning", "critical"].contains(&text.as_str()) => {
                self.error(*at, "severity is `info`, `warning` or `critical`");
            }
            "key" if !["max_memory", "max_restarts", "grace_period"].contains(&text.as_str()) => {
                self.error(
                    *at,
                    "set_limit knows max_memory, max_restarts and grace_period",
                );
            }
            _ => {}
        }
    }

    /// `c.<field>`, and `c.p.<param>`.
    fn field(&mut self, rhs: &Expr) {
        let (first, rest) = match rhs {
            Expr::Dot(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
            Expr::Index(pair, ..) => (&pair.lhs, None),
            other => (other, None),
        };
        let Expr::Property(names, at) = first else {
            return;
        };
        let name = names.2.as_str();
        if !FIELDS.iter().any(|one| one.name == name) {
            let queries = FUNCTIONS.iter().filter(|one| one.group == Group::Query);
            if queries.clone().any(|one| one.name == name) {
                self.error(*at, format!("`{name}` is a question: write `c.{name}(…)`"));
                return;
            }
            let known = FIELDS
                .iter()
                .map(|one| one.name)
                .chain(queries.map(|one| one.name));
            let hint = near(name, known)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.error(*at, format!("`c` has no field `{name}`{hint}"));
            return;
        }
        let param = match rest {
            Some(Expr::Property(names, at)) => Some((names.2.as_str(), *at)),
            Some(Expr::Dot(pair, ..)) => match &pair.lhs {
                Expr::Property(names, at) => Some((names.2.as_str(), *at)),
                _ => None,
            },
            _ => None,
        };
        if name == "p"
            && let Some((param, at)) = param
            && let Some(params) = &self.params
            && !params.contains(param)
        {
            let hint = near(param, params.iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let text = format!("META.params has no `{param}`{hint}");
            self.error(at, text);
        }
    }

    /// A function that calls itself, directly or by others, has no bound of its own.
    fn recursion(&mut self, ast: &AST, script: &str) {
        let mut calls: BTreeMap<String, BTreeMap<String, Position>> = BTreeMap::new();
        let begins = begins(script);
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some((call, at)) = called(path)
                && self.own.iter().any(|(own, _)| own == call.name.as_str())
                && let Some((_, caller)) = begins.iter().rev().find(|(begin, _)| *begin <= key(at))
            {
                let found = calls.entry(caller.clone()).or_default();
                found.entry(call.name.to_string()).or_insert(at);
            }
            true
        });
        for (name, direct) in &calls {
            let mut seen = BTreeSet::new();
            let mut todo: Vec<&String> = direct.keys().collect();
            while let Some(next) = todo.pop() {
                if seen.insert(next) {
                    todo.extend(calls.get(next).into_iter().flat_map(BTreeMap::keys));
                }
            }
            if seen.contains(name) {
                let at = direct.get(name).or_else(|| direct.values().next());
                let at = at.copied().unwrap_or(Position::NONE);
                self.warn(
                    at,
                    format!("`{name}` calls itself; 32 calls deep it is stopped"),
                );
            }
        }
    }

    fn habits(&mut self, ast: &AST) {
        let acts = |name: &str| {
            is_action(name)
                && !matches!(
                    name,
                    "wait"
                        | "notify"
                        | "log_incident"
                        | "escalate"
                        | "ask"
                        | "update_score"
                        | "run_probe"
                        | "halt"
                        | "stop"
                )
        };
        let mut first = None;
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some((call, at)) = called(path)
                && acts(&call.name)
            {
                first.get_or_insert((call.name.to_string(), at));
            }
            true
        });
        if let Some((name, at)) = first
            && !self.own.iter().any(|(own, _)| own == "verify")
        {
            self.warn(at, format!("nothing measures whether `{name}` helped; write `fn verify(c)`, else a quiet minute counts as a success"));
        }
        for (function, params) in self.own.clone() {
            if matches!(
                function.as_str(),
                "matches" | "plan" | "reason" | "verify" | "on_failure"
            ) && params != 1
            {
                self.error(
                    Position::NONE,
                    format!("`{function}` takes one argument: fn {function}(c)"),
                );
            }
        }
    }
}

/// Where each function begins, in the order of the text.
fn begins(script: &str) -> Vec<((usize, usize), String)> {
    static FN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:^|[\s};])fn\s+(\w+)\s*\(").expect("a constant"));
    script
        .lines()
        .enumerate()
        .flat_map(|(line, text)| {
            FN.captures_iter(text).filter_map(move |found| {
                let name = found.get(1)?;
                let column = text[..name.start()].chars().count() + 1;
                Some(((line + 1, column), name.as_str().to_owned()))
            })
        })
        .collect()
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Variable(variable, ..) if variable.1 == "c")
}

fn key(at: Position) -> (usize, usize) {
    (at.line().unwrap_or(0), at.position().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, usize, String)> {
        lint("mine", Format::Rhai, text)
            .into_iter()
            .map(|one| (one.line, one.column, one.text))
            .collect()
    }

    const HEAD: &str = "const META = #{ name: \"mine\", version: 1, description: \"x\", on: [\"crash\"], params: #{ n: 1 } };\n";

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = format!(
            "{HEAD}fn matches(c) {{ c.crahses(\"5m\") > c.p.m && c.stat == \"online\" }}\n\
             fn reason(c) {{ `${{c.crashes(\"5 moons\")}} ${{c.log_count(\"(\", \"2d\")}}` }}\n\
             fn plan(c) {{ loop {{ }} [ explode(), restart(1, 2), wait(\"1h\") ] }}\n\
             fn verify(c) {{ () }}\n"
        );
        let all = found(&text);
        for (line, column, words) in [
            (2, 19, "did you mean `crashes`"),
            (2, 39, "META.params has no `m`"),
            (2, 46, "no field `stat`; did you mean `state`"),
            (3, 29, "no duration"),
            (3, 55, "no regular expression"),
            (3, 60, "a day at most"),
            (4, 14, "never ends"),
            (4, 25, "no function `explode`"),
            (4, 36, "write `restart()` or `restart(instance)`"),
            (4, 56, "10 minutes"),
        ] {
            assert!(
                all.iter()
                    .any(|(l, c, text)| (*l, *c) == (line, column) && text.contains(words)),
                "{line}:{column} {words} is not in {all:#?}"
            );
        }
        assert_eq!(all.len(), 10, "{all:#?}");
    }

    /// An action that is not there is told with its place, not found out in the middle of a night.
    #[test]
    fn an_action_that_is_not_there_has_its_place() {
        let all = found(&format!(
            "{HEAD}fn matches(c) {{ true }}\nfn plan(c) {{ [ run_probe(), snapshot(\"now\"), rollback(\"prod\") ] }}\nfn verify(c) {{ () }}\n"
        ));
        let words: Vec<_> = all.iter().map(|(l, c, t)| (*l, *c, t.as_str())).collect();
        let [(3, 29, snapshot), (3, 46, rollback)] = words[..] else {
            panic!("{words:#?}");
        };
        assert!(snapshot.contains("no function `snapshot`"), "{snapshot}");
        assert!(rollback.contains("write `rollback()`"), "{rollback}");
        let toml = "name = \"mine\"\ndescription = \"x\"\n[trigger]\non = [\"crash\"]\n[[action]]\ntype = \"snapshot\"\n";
        let all = lint("mine", Format::Toml, toml);
        let one = &all[0];
        assert!(one.text.contains("no action `snapshot`"), "{one:?}");
        assert!(one.line > 0 && one.column > 0, "{one:?}");
    }

    #[test]
    fn habits_are_warned_of() {
        let all = found(&format!(
            "{HEAD}fn f(c) {{ g(c) }}\nfn g(c) {{ f(c) }}\nfn matches(c) {{ f(c) }}\nfn plan(c) {{ [ restart() ] }}\n"
        ));
        assert!(
            all.iter().any(|(_, _, text)| text.contains("calls itself")),
            "{all:?}"
        );
        assert!(
            all.iter().any(|(_, _, text)| text.contains("fn verify(c)")),
            "{all:?}"
        );
    }

    /// What ships is an example: it has nothing to mend but what its scenario covers.
    #[test]
    fn built_in_playbooks_have_no_errors() {
        for (name, format, text) in super::super::builtin::BUILTIN {
            let errors: Vec<Finding> = lint(name, *format, text)
                .into_iter()
                .filter(|one| one.weight == Weight::Error)
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
    }
}

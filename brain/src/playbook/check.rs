//! What can be said of a script without running it.
//!
//! The language finds unknown names of functions only when they are called, perhaps weeks
//! later. A playbook that calls one is refused when it is loaded, with line and column.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};

/// Functions of the language itself that are in no package.
pub(super) const KEYWORDS: [&str; 9] = [
    "print",
    "debug",
    "type_of",
    "is_def_var",
    "is_def_fn",
    "is_shared",
    "Fn",
    "call",
    "curry",
];

/// A problem with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) text: String,
    pub(crate) at: Position,
}

/// The names of all functions an engine knows.
pub(crate) fn known_functions(engine: &Engine) -> BTreeSet<String> {
    engine
        .gen_fn_signatures(true)
        .into_iter()
        .filter_map(|signature| {
            let name = signature.split('(').next()?.trim();
            Some(name.rsplit("::").next()?.trim().to_owned())
        })
        .collect()
}

/// The first flaw of a script, if it has one.
pub(crate) fn flaw(ast: &AST, known: &BTreeSet<String>) -> Option<Flaw> {
    let own: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
    for wanted in ["matches", "plan"] {
        if !ast
            .iter_functions()
            .any(|function| function.name == wanted && function.params.len() == 1)
        {
            return Some(Flaw {
                text: format!("there is no `fn {wanted}(c)`"),
                at: Position::NONE,
            });
        }
    }
    let mut found = None;
    for statement in ast.statements() {
        if !matches!(statement, Stmt::Var(..) | Stmt::Noop(..)) {
            return Some(Flaw {
                text: "only `const META` and functions may stand outside functions".to_owned(),
                at: statement.position(),
            });
        }
    }
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some((call, at)) = called(path) {
            let name = call.name.as_str();
            if is_name(name)
                && call.op_token.is_none()
                && !own.contains(name)
                && !KEYWORDS.contains(&name)
                && !known.contains(name)
            {
                found = Some(Flaw {
                    text: format!("there is no function `{name}`"),
                    at,
                });
                return false;
            }
        }
        true
    });
    found
}

/// Names of the steps that a script can make, sorted.
pub(crate) fn actions(ast: &AST) -> Vec<&'static str> {
    let mut found = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some((call, _)) = called(path) {
            let known = super::reference::FUNCTIONS.iter().find(|one| {
                super::reference::is_action(one.name) && one.name == call.name.as_str()
            });
            found.extend(known.map(|one| one.name));
        }
        true
    });
    found.into_iter().collect()
}

/// Where META stands.
pub(crate) fn header_at(ast: &AST) -> Position {
    ast.statements()
        .iter()
        .find(|statement| matches!(statement, Stmt::Var(var, ..) if var.0.name == "META"))
        .map_or(Position::NONE, Stmt::position)
}

/// The call that a node is, if it is one.
pub(super) fn called<'a>(path: &[ASTNode<'a>]) -> Option<(&'a rhai::FnCallExpr, Position)> {
    match path.last() {
        Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => {
            Some((call, *at))
        }
        Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => Some((call, *at)),
        _ => None,
    }
}

/// Is it the name of a function, not an operator?
pub(super) fn is_name(name: &str) -> bool {
    name.chars()
        .next()
        .is_some_and(|letter| letter.is_alphabetic() || letter == '_')
}

//! What can be said of a script without running it.
//!
//! The language finds unknown names of functions only when they are called, perhaps weeks
//! later. A playbook that calls one is refused when it is loaded, with line and column.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};

/// Functions of the language itself that are in no package.
const KEYWORDS: [&str; 9] = [
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
        let call = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => {
                Some((call, *at))
            }
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => Some((call, *at)),
            _ => None,
        };
        if let Some((call, at)) = call {
            let name = call.name.as_str();
            let is_name = name
                .chars()
                .next()
                .is_some_and(|letter| letter.is_alphabetic() || letter == '_');
            if is_name
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

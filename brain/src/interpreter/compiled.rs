//! A script that can be asked.

use std::sync::Arc;

use rhai::{AST, Array, CallFnOptions, Dynamic, EvalAltResult, Map, Position, Scope};

use super::{Header, Interpreter, Matter, Place, Said, Wrong};
use crate::context::{Context, View, checked, steps_of};
use crate::incident::Evidence;
use crate::incident::fingerprint::fnv1a;
use crate::playbook::check::{self, Flaw};
use crate::playbook::{Meta, MetaError, PlaybookOverride};
use crate::sandbox;

/// A script that was read.
pub(crate) struct Compiled {
    pub(crate) header: Header,
    params: Arc<Map>,
    ast: AST,
}

/// What went wrong, and in which function.
struct Failure {
    function: &'static str,
    text: String,
    at: Position,
    bomb: bool,
}

impl Compiled {
    pub(super) fn new(
        interpreter: &Interpreter,
        name: &str,
        text: &str,
        over: Option<&PlaybookOverride>,
    ) -> Result<Self, Wrong> {
        let engine = &interpreter.engine;
        let ast = engine
            .compile(text)
            .map_err(|error| Wrong::new(error.0.to_string(), error.1))?;
        if let Some(Flaw { text, at }) = check::flaw(&ast, &interpreter.known) {
            return Err(Wrong::new(text, at));
        }
        let mut scope = Scope::new();
        sandbox::timed(|| engine.run_ast_with_scope(&mut scope, &ast))
            .map_err(|error| Wrong::new(sandbox::message(&error), error.position()))?;
        let header = scope
            .get_value::<Map>("META")
            .ok_or_else(|| Wrong::new(MetaError::Missing.to_string(), Position::NONE))?;
        let place = check::header_at(&ast);
        let (meta, params) = Meta::read(&header, name, over)
            .map_err(|error| Wrong::new(error.to_string(), place))?;
        let functions = ast.iter_functions();
        let functions = functions.map(|function| {
            let at = begins(text, function.name);
            (function.name.to_owned(), at.into())
        });
        Ok(Self {
            header: Header {
                meta,
                actions: check::actions(&ast)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                hash: fnv1a(text.as_bytes()),
                functions: functions.collect(),
            },
            params: Arc::new(params),
            ast,
        })
    }

    /// Asks it about what is seen.
    pub(crate) fn ask(&self, interpreter: &Interpreter, matter: Matter, view: &Arc<View>) -> Said {
        let c = Context::new(view, Arc::clone(&self.params));
        let said = match matter {
            Matter::Diagnosis => self.diagnose(interpreter, &c),
            Matter::Verdict => self
                .call(interpreter, "verify", &c)
                .map(|answer| Said::Measured(answer.as_bool().ok())),
            Matter::OnFailure => {
                self.plan(interpreter, "on_failure", &c)
                    .map(|steps| Said::Wants {
                        cause: None,
                        evidence: Vec::new(),
                        steps,
                    })
            }
        };
        said.unwrap_or_else(|failure| self.failed(failure))
    }

    fn diagnose(&self, interpreter: &Interpreter, c: &Context) -> Result<Said, Failure> {
        let (matched, mut evidence) =
            matched(self.call(interpreter, "matches", c)?).map_err(|text| Failure {
                function: "matches",
                text,
                at: Position::NONE,
                bomb: false,
            })?;
        if !matched {
            return Ok(Said::Silent);
        }
        let cause = match self.header.functions.contains_key("reason") {
            true => Some(self.call(interpreter, "reason", c)?.to_string()),
            false => None,
        };
        let steps = self.plan(interpreter, "plan", c)?;
        for found in c.evidence() {
            if !evidence.contains(&found) {
                evidence.push(found);
            }
        }
        Ok(Said::Wants {
            cause,
            evidence,
            steps,
        })
    }

    /// The steps of a plan, which is checked here for the place of a mistake, and by whoever
    /// asks once more.
    fn plan(
        &self,
        interpreter: &Interpreter,
        function: &'static str,
        c: &Context,
    ) -> Result<Vec<serde_json::Value>, Failure> {
        let returned = self.call(interpreter, function, c)?;
        let steps = steps_of(returned).and_then(|steps| {
            checked(steps.clone(), "")?;
            Ok(steps)
        });
        steps.map_err(|error| Failure {
            function,
            text: error.to_string(),
            at: Position::NONE,
            bomb: false,
        })
    }

    fn call(
        &self,
        interpreter: &Interpreter,
        function: &'static str,
        c: &Context,
    ) -> Result<Dynamic, Failure> {
        let options = CallFnOptions::new().eval_ast(false);
        let result = sandbox::timed(|| {
            interpreter.engine.call_fn_with_options::<Dynamic>(
                options,
                &mut Scope::new(),
                &self.ast,
                function,
                (c.clone(),),
            )
        });
        result.map_err(|error: Box<EvalAltResult>| Failure {
            function,
            text: sandbox::message(&error),
            at: sandbox::place(&error),
            bomb: sandbox::is_bomb(&error),
        })
    }

    /// The engine gives no place for a limit that was hit: then it is the function that was
    /// asked.
    fn failed(&self, failure: Failure) -> Said {
        let Failure {
            function,
            text,
            at,
            bomb,
        } = failure;
        let begin = self.header.functions.get(function).copied();
        let place = match at.is_none() {
            true => begin.unwrap_or_default(),
            false => Place::from(at),
        };
        Said::Failed {
            text,
            at: place,
            bomb,
        }
    }
}

/// What `matches(c)` returned: a truth value, or `#{ok, evidence: […]}`.
fn matched(answer: Dynamic) -> Result<(bool, Vec<Evidence>), String> {
    if let Ok(truth) = answer.as_bool() {
        return Ok((truth, Vec::new()));
    }
    let kind = answer.type_name().to_owned();
    let wrong = || format!("matches(c) returned {kind}, not true, false or #{{ok, evidence}}");
    let map: Map = answer.try_cast().ok_or_else(wrong)?;
    let ok = map
        .get("ok")
        .and_then(|ok| ok.as_bool().ok())
        .ok_or_else(wrong)?;
    let evidence = map
        .get("evidence")
        .and_then(|list| list.clone().try_cast::<Array>())
        .unwrap_or_default()
        .into_iter()
        .map(|item| match item.clone().try_cast::<Map>() {
            Some(item) => Evidence {
                id: item.get("id").map(Dynamic::to_string).unwrap_or_default(),
                text: item.get("text").map(Dynamic::to_string).unwrap_or_default(),
            },
            None => Evidence {
                id: "playbook".to_owned(),
                text: item.to_string(),
            },
        })
        .collect();
    Ok((ok, evidence))
}

/// Where a function begins in a text.
fn begins(text: &str, function: &str) -> Position {
    let found = text.lines().enumerate().find_map(|(index, line)| {
        let begins = |(column, word): (usize, &str)| {
            let rest = line[column + word.len()..].trim_start();
            let rest = rest.strip_prefix(function)?.trim_start();
            rest.starts_with('(').then_some((index, column))
        };
        line.match_indices("fn ").find_map(begins)
    });
    let place = found.and_then(|(line, column)| {
        Some((
            u16::try_from(line + 1).ok()?,
            u16::try_from(column + 1).ok()?,
        ))
    });
    place.map_or(Position::NONE, |(line, column)| Position::new(line, column))
}

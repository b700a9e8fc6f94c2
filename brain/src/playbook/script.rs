//! A compiled playbook that can be asked. Its errors count against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Map, Position, Scope};

use super::check::{self, Flaw};
use super::meta::{self, Meta, PlaybookOverride};
use super::trust::Trust;
use super::{PlaybookSource, PlaybookState, broken};
use crate::context::Context;
use crate::sandbox;

/// Errors while running after which a playbook is off.
const RUN_ERRORS: u32 = 3;

/// A script that can be called.
pub(crate) struct Script {
    pub(crate) source: PlaybookSource,
    pub(crate) meta: Meta,
    pub(crate) params: Arc<Map>,
    /// How far it is believed; a file of a person is believed as that person is.
    pub(crate) trust: Trust,
    /// Names of the steps that its text can make, sorted.
    pub(crate) actions: Vec<&'static str>,
    /// Hash of its text.
    pub(crate) hash: u64,
    ast: Arc<AST>,
    engine: Arc<Engine>,
    /// Its functions, and where each begins.
    functions: BTreeMap<String, Position>,
    errors: AtomicU32,
    last_error: Mutex<Option<(String, Position)>>,
}

impl Script {
    /// Compiles a script and reads its header.
    pub(super) fn compile(
        engine: &Arc<Engine>,
        known: &BTreeSet<String>,
        name: &str,
        source: PlaybookSource,
        text: &str,
        over: Option<&PlaybookOverride>,
    ) -> Result<Script, PlaybookState> {
        let ast = engine
            .compile(text)
            .map_err(|error| broken(error.0.to_string(), error.1))?;
        if let Some(Flaw { text, at }) = check::flaw(&ast, known) {
            return Err(broken(text, at));
        }
        let mut scope = Scope::new();
        sandbox::timed(|| engine.run_ast_with_scope(&mut scope, &ast))
            .map_err(|error| broken(sandbox::message(&error), error.position()))?;
        let header = scope
            .get_value::<Map>("META")
            .ok_or_else(|| broken(meta::MetaError::Missing.to_string(), Position::NONE))?;
        let place = check::header_at(&ast);
        let meta =
            Meta::read(&header, name, over).map_err(|error| broken(error.to_string(), place))?;
        Ok(Script {
            source,
            params: Arc::new(meta.params.clone()),
            meta,
            trust: Trust::Trusted,
            actions: check::actions(&ast),
            hash: crate::incident::fingerprint::fnv1a(text.as_bytes()),
            functions: ast
                .iter_functions()
                .map(|function| (function.name.to_owned(), begins(text, function.name)))
                .collect(),
            ast: Arc::new(ast),
            engine: Arc::clone(engine),
            errors: AtomicU32::new(0),
            last_error: Mutex::default(),
        })
    }

    /// Which text it is: another text has another version.
    pub(crate) fn version(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// The same script, believed differently. Its errors still count.
    pub(super) fn believed(&self, trust: Trust) -> Script {
        Script {
            source: self.source,
            meta: self.meta.clone(),
            params: Arc::clone(&self.params),
            trust,
            actions: self.actions.clone(),
            hash: self.hash,
            ast: Arc::clone(&self.ast),
            engine: Arc::clone(&self.engine),
            functions: self.functions.clone(),
            errors: AtomicU32::new(self.errors.load(Ordering::Relaxed)),
            last_error: Mutex::new(
                self.last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            ),
        }
    }

    pub(crate) fn has(&self, function: &str) -> bool {
        self.functions.contains_key(function)
    }

    /// Calls one of its functions. An error counts against it.
    pub(crate) fn call(&self, function: &str, c: Context) -> Result<Dynamic, String> {
        let options = CallFnOptions::new().eval_ast(false);
        let result = sandbox::timed(|| {
            self.engine.call_fn_with_options::<Dynamic>(
                options,
                &mut Scope::new(),
                &self.ast,
                function,
                (c,),
            )
        });
        result.map_err(|error| self.fail(function, &error))
    }

    /// Counts an error of a function and gives its text.
    fn fail(&self, function: &str, error: &EvalAltResult) -> String {
        if sandbox::is_bomb(error) {
            self.errors.store(RUN_ERRORS, Ordering::Relaxed);
        }
        self.fail_at(sandbox::message(error), self.place(function, error))
    }

    /// Counts a wrong answer of a function and gives the text of what is wrong with it.
    pub(crate) fn fail_in(&self, function: &str, text: String) -> String {
        let at = self.functions.get(function).copied();
        self.fail_at(text, at.unwrap_or_default())
    }

    /// Where an error is. The engine gives no place for a limit that was hit: then it is the
    /// function that was asked.
    fn place(&self, function: &str, error: &EvalAltResult) -> Position {
        let at = sandbox::place(error);
        if at.is_none() {
            return self.functions.get(function).copied().unwrap_or_default();
        }
        at
    }

    fn fail_at(&self, text: String, at: Position) -> String {
        let text = match at.is_none() || text.contains(&at.to_string()) {
            true => text,
            false => format!("{text} ({at})"),
        };
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((text.clone(), at));
        tracing::warn!(playbook = %self.meta.name, error = %text, "Playbook failed.");
        text
    }

    pub(super) fn state(&self) -> PlaybookState {
        if self.errors.load(Ordering::Relaxed) < RUN_ERRORS {
            return PlaybookState::Ok;
        }
        let last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (text, at) = last.unwrap_or_default();
        broken(format!("off until its file changes: {text}"), at)
    }
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

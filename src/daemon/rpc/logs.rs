//! `logs.*`: parameters to commands. The names are those of `LogQuery`, and `name` for the
//! target.

use serde_json::Value;
use supervisor::Command;
use supervisor::logs::{LogQuery, MOST_CONTEXT};

use super::message::RpcError;
use super::params::{MaybeNamed, Params};

/// The methods of this file.
pub(super) const METHODS: [&str; 4] = ["logs.query", "logs.flush", "logs.index", "logs.reindex"];

/// The command that a method means. `None` when it is not one of this file's.
pub(super) fn command(params: Params<'_>) -> Option<Result<Command, RpcError>> {
    let command = match params.method {
        "logs.query" => query(params).map(Command::Logs),
        "logs.index" => params.none().map(|()| Command::LogIndex),
        "logs.reindex" => params.none().map(|()| Command::Reindex),
        "logs.flush" => params.read::<MaybeNamed>().map(|named| Command::Flush {
            target: named.name.map(|name| name.0),
        }),
        _ => return None,
    };
    Some(command)
}

/// Reads a query; also that of `logs.stream`.
pub(super) fn query(mut params: Params<'_>) -> Result<LogQuery, RpcError> {
    for (alias, key) in [
        ("name", "target"),
        ("after_id", "after"),
        ("from_id", "after"),
    ] {
        let Some(value) = params.values.remove(alias) else {
            continue;
        };
        if params.values.contains_key(key) {
            return Err(RpcError::bad_params(format!(
                "{}: `{alias}` and `{key}` are the same",
                params.method
            )));
        }
        let value = match value {
            Value::Number(number) => Value::String(number.to_string()),
            other => other,
        };
        params.values.insert(key.into(), value);
    }
    let method = params.method;
    let query: LogQuery = params.read()?;
    if query.context > MOST_CONTEXT {
        return Err(RpcError::bad_params(format!(
            "{method}: `context` is {}; at most {MOST_CONTEXT} lines around a hit are shown",
            query.context
        )));
    }
    Ok(query)
}

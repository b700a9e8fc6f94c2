//! JSON-RPC 2.0 on a line: what comes in, what goes out, and the error objects.
//!
//! Nothing here knows a method. A line that is not a request still gets an answer, with the
//! id it carried where that could be read.

use serde_json::{Map, Value, json};
use supervisor::{ControlError, Role, Via};

/// Longest line, in bytes.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// Requests in one batch.
pub(crate) const MAX_BATCH: usize = 100;

/// An error object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl RpcError {
    fn new(code: i32, kind: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: json!({ "kind": kind }),
        }
    }

    pub(crate) fn parse(message: impl Into<String>) -> Self {
        Self::new(-32700, "parse", message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, "invalid_request", message)
    }

    pub(crate) fn no_method(method: &str, near: Vec<String>) -> Self {
        let mut error = Self::new(-32601, "no_method", format!("no method `{method}`"));
        error.data["name"] = json!(method);
        if !near.is_empty() {
            error.data["near"] = json!(near);
        }
        error
    }

    pub(crate) fn bad_params(message: impl Into<String>) -> Self {
        Self::new(-32602, "bad_params", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, "internal", message)
    }

    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self::new(-32007, "busy", message)
    }

    pub(crate) fn not_permitted(message: impl Into<String>) -> Self {
        Self::new(-32004, "forbidden", message)
    }
}

impl From<ControlError> for RpcError {
    fn from(error: ControlError) -> Self {
        let (kind, more) = match &error {
            ControlError::NotFound { target, near } => {
                ("not_found", json!({ "name": target, "near": near }))
            }
            ControlError::Conflict { .. } => ("conflict", json!({})),
            ControlError::Invalid { details, .. } => ("invalid", json!({ "details": details })),
            ControlError::Spawn { process, error } => {
                ("spawn", json!({ "name": process, "details": [error] }))
            }
            ControlError::Forbidden { what, needed, .. } => {
                ("forbidden", json!({ "name": what, "needed": needed }))
            }
            ControlError::NotListed { what, listed, .. } => {
                ("not_listed", json!({ "name": what, "listed": listed }))
            }
            ControlError::ReloadFailed { process, error } => (
                "reload_failed",
                json!({ "name": process, "details": [error] }),
            ),
            ControlError::Timeout { what, limit_ms } => {
                ("timeout", json!({ "name": what, "limit_ms": limit_ms }))
            }
            ControlError::Busy { .. } => ("busy", json!({})),
            ControlError::RateLimited { limit, retry_ms } => (
                "rate_limited",
                json!({ "limit": limit, "retry_ms": retry_ms }),
            ),
            ControlError::Unavailable { what, remedy } => {
                ("unavailable", json!({ "name": what, "details": [remedy] }))
            }
            ControlError::Store { .. } => ("store", json!({})),
            ControlError::ShuttingDown => ("shutting_down", json!({})),
            ControlError::Internal { .. } => ("internal", json!({})),
        };
        let mut data = json!({ "kind": kind });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        Self {
            code: error.code(),
            message: error.to_string(),
            data,
        }
    }
}

/// A request that is well formed. Its method may still not exist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// Absent for a notification, which gets no answer.
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
    /// The command line says `"via": "cli"`, the bridge for other people's agents `"mcp"`; it
    /// is only a label, all are the same person.
    pub(crate) via: Via,
    /// The most that this request may do: its caller wants to be held to less than it may.
    pub(crate) role: Option<Role>,
}

/// Something that is not a request, with its id where it had one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Malformed {
    pub(crate) id: Value,
    pub(crate) error: Box<RpcError>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Incoming {
    One(Result<Call, Malformed>),
    Batch(Vec<Result<Call, Malformed>>),
}

impl Incoming {
    pub(crate) fn read(line: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(line) {
            Err(error) => Incoming::One(Err(Malformed {
                id: Value::Null,
                error: Box::new(RpcError::parse(format!("not JSON: {error}"))),
            })),
            Ok(Value::Array(items)) if items.is_empty() => Incoming::One(Err(Malformed {
                id: Value::Null,
                error: Box::new(RpcError::invalid_request("an empty batch")),
            })),
            Ok(Value::Array(items)) if items.len() > MAX_BATCH => Incoming::One(Err(Malformed {
                id: Value::Null,
                error: Box::new(RpcError::invalid_request(format!(
                    "a batch of {} requests; send at most {MAX_BATCH} in one",
                    items.len()
                ))),
            })),
            Ok(Value::Array(items)) => Incoming::Batch(items.into_iter().map(call).collect()),
            Ok(value) => Incoming::One(call(value)),
        }
    }
}

fn call(value: Value) -> Result<Call, Malformed> {
    let Value::Object(mut request) = value else {
        return Err(Malformed {
            id: Value::Null,
            error: Box::new(RpcError::invalid_request("a request is an object")),
        });
    };
    let id = request.remove("id");
    let echo = match &id {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    let malformed = |message: &str| Malformed {
        id: echo.clone(),
        error: Box::new(RpcError::invalid_request(message)),
    };
    if !matches!(
        id,
        None | Some(Value::Null | Value::String(_) | Value::Number(_))
    ) {
        return Err(malformed("`id` is a number or a string"));
    }
    if request.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(malformed("`jsonrpc` must be \"2.0\""));
    }
    let Some(Value::String(method)) = request.remove("method") else {
        return Err(malformed("`method` is missing or not a string"));
    };
    let params = match request.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            return Err(Malformed {
                id: echo,
                error: Box::new(RpcError::bad_params(
                    "params are given by name, in an object",
                )),
            });
        }
    };
    let via = match request.get("via") {
        Some(Value::String(via)) if via == "cli" => Via::Cli,
        Some(Value::String(via)) if via == "mcp" => Via::Mcp,
        _ => Via::Rpc,
    };
    // A wish to be held to less must not be lost in a slip of the pen.
    let role = match request.remove("role").map(serde_json::from_value) {
        None => None,
        Some(Ok(role)) => Some(role),
        Some(Err(_)) => {
            return Err(malformed(
                "`role` is viewer, operator, admin or super_admin",
            ));
        }
    };
    Ok(Call {
        id,
        method,
        params,
        via,
        role,
    })
}

/// The answer to one request, as it is sent. A result comes as JSON text: a long list that is
/// built as values first costs several times as much.
pub(crate) fn answer(id: &Value, result: Result<String, RpcError>) -> String {
    match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(RpcError {
            code,
            message,
            data,
        }) => json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": code, "message": message, "data": data },
        })
        .to_string(),
    }
}

/// A message nobody asked for, of a subscription.
pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Call, Malformed> {
        match Incoming::read(line.as_bytes()) {
            Incoming::One(one) => one,
            Incoming::Batch(_) => panic!("a batch"),
        }
    }

    #[test]
    fn ids_are_kept_whatever_is_wrong() {
        let table = [
            ("{", -32700, Value::Null),
            ("\"text\"", -32600, Value::Null),
            ("[]", -32600, Value::Null),
            (r#"{"id":7,"method":"x"}"#, -32600, json!(7)),
            (r#"{"jsonrpc":"2.0","id":"a"}"#, -32600, json!("a")),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#,
                -32600,
                Value::Null,
            ),
            (
                r#"{"jsonrpc":"2.0","id":3,"method":"x","params":[1]}"#,
                -32602,
                json!(3),
            ),
        ];
        for (line, code, id) in table {
            let malformed = one(line).expect_err(line);
            assert_eq!((malformed.error.code, &malformed.id), (code, &id), "{line}");
        }
    }

    #[test]
    fn a_request_without_id_is_a_notification() {
        let call = one(r#"{"jsonrpc":"2.0","method":"x","via":"cli"}"#).unwrap();
        assert_eq!(call.id, None);
        assert_eq!(call.via, Via::Cli);
        assert_eq!(call.role, None);
        let call = one(r#"{"jsonrpc":"2.0","method":"x","via":"mcp","role":"viewer"}"#).unwrap();
        assert_eq!((call.via, call.role), (Via::Mcp, Some(Role::Viewer)));
        let slip = one(r#"{"jsonrpc":"2.0","id":1,"method":"x","role":"looker"}"#);
        assert_eq!(slip.unwrap_err().error.code, -32600);
        assert!(call.params.is_empty());
        let call = one(r#"{"jsonrpc":"2.0","method":"x","id":null}"#).unwrap();
        assert_eq!(call.id, Some(Value::Null));
    }

    #[test]
    fn a_batch_keeps_its_good_parts() {
        let line = br#"[1,{"jsonrpc":"2.0","id":1,"method":"x"}]"#;
        let Incoming::Batch(items) = Incoming::read(line) else {
            panic!("not a batch");
        };
        assert!(items[0].is_err());
        assert!(items[1].is_ok());
    }

    #[test]
    fn a_batch_has_a_limit() {
        let batch = |count: usize| {
            let items = vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "x" }); count];
            Incoming::read(Value::Array(items).to_string().as_bytes())
        };
        assert!(matches!(batch(MAX_BATCH), Incoming::Batch(items) if items.len() == MAX_BATCH));
        let Incoming::One(Err(refused)) = batch(MAX_BATCH + 1) else {
            panic!("taken");
        };
        assert_eq!(refused.error.code, -32600);
        assert!(refused.error.message.contains("at most 100"));
    }

    #[test]
    fn an_answer_is_one_object_with_its_id() {
        for id in [json!(7), json!("a \"b\""), Value::Null] {
            let text = answer(&id, Ok(r#"{"x":[1]}"#.into()));
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                read,
                json!({ "jsonrpc": "2.0", "id": id, "result": { "x": [1] } })
            );
        }
    }

    #[test]
    fn control_errors_say_what_and_what_is_near() {
        let error = RpcError::from(ControlError::NotFound {
            target: "apii".into(),
            near: vec!["api".into()],
        });
        assert_eq!(error.code, -32000);
        assert_eq!(
            error.data,
            json!({ "kind": "not_found", "name": "apii", "near": ["api"] })
        );
    }
}

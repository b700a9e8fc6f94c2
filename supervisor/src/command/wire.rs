//! How a set of definitions travels to the daemon.
//!
//! All processes of a request have the environment of the one who asks. It is sent once and
//! not with each: ten thousand copies of it would not fit into a request.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Apply;
use crate::os_text::OsText;
use crate::secret::{EnvVars, exposed};

#[derive(Serialize, Deserialize)]
struct Wire {
    /// What each process has that brings no environment of its own.
    #[serde(default, skip_serializing_if = "EnvVars::is_empty")]
    os_env: EnvVars<OsText>,
    #[serde(flatten)]
    apply: Apply,
}

impl Apply {
    /// For the daemon, secrets included: it is to run these processes.
    pub fn into_wire(mut self) -> Value {
        let os_env = match self.processes.split_first_mut() {
            Some((first, rest)) if rest.iter().all(|spec| spec.env.os == first.env.os) => {
                rest.iter_mut().for_each(|spec| spec.env.os.clear());
                std::mem::take(&mut first.env.os)
            }
            _ => EnvVars::new(),
        };
        let wire = Wire {
            os_env,
            apply: self,
        };
        exposed(|| serde_json::to_value(&wire)).expect("definitions are text keys and plain values")
    }

    /// What a client has sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_wire(value: Value) -> serde_json::Result<Self> {
        let Wire { os_env, mut apply } = serde_json::from_value(value)?;
        for spec in &mut apply.processes {
            if spec.env.os.is_empty() {
                spec.env.os.clone_from(&os_env);
            }
        }
        Ok(apply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadContext, load_table};

    /// An environment as a shell of today has it is about 4 KB.
    #[test]
    fn ten_thousand_processes_fit_into_a_request() {
        let ctx = LoadContext {
            env: [("PATH", "/usr/bin:/bin"), ("AWS_SECRET_KEY", "hunter22")]
                .map(|(key, value)| (key.to_owned(), OsText::from(value)))
                .into_iter()
                .chain((0..40).map(|n| (format!("VAR_{n}"), OsText::from(&*"x".repeat(90)))))
                .collect(),
            cwd: "/".into(),
            ..LoadContext::default()
        };
        let table = serde_json::json!({ "command": "sleep 600" });
        let Value::Object(table) = table else {
            panic!("an object")
        };
        let mut apply = load_table(Some("p"), table, &ctx).expect("loads").apply;
        let one = apply.processes.pop().expect("one");
        apply.processes = (0..10_000)
            .map(|n| crate::spec::ProcessSpec {
                name: format!("process-{n}").parse().expect("a name"),
                ..one.clone()
            })
            .collect();
        let wire = apply.clone().into_wire();
        let size = wire.to_string().len();
        assert!(size < 12 << 20, "{size} bytes");
        let read = Apply::from_wire(wire).expect("reads");
        assert!(read == apply, "it is what was sent");
    }
}

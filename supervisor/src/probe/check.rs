//! The probes a process has, ready to be run: one value per kind and role, with everything
//! that differs per instance filled in.

use std::time::Duration;

use super::Subject;
use super::http::HttpCheck;
use super::script::ScriptCheck;
use super::tcp::TcpCheck;
use super::tracker::{Outcome, Rules};
use crate::config::expand_for_instance;
use crate::spec::{OnFail, ProbeKind, ProcessSpec};
use crate::sys::Script;

/// The keys that all kinds of probe have in common.
macro_rules! rules {
    ($role:expr, $kind:expr, $probe:expr) => {
        Rules {
            name: $role.name_of($kind),
            role: $role,
            interval: $probe.interval,
            timeout: $probe.timeout,
            retries: $probe.retries,
            start_period: $probe.start_period,
            success_threshold: $probe.success_threshold,
            on_fail: match $role.restarts() {
                true => $probe.on_fail,
                false => OnFail::Notify,
            },
        }
    };
}

/// One probe, ready to be run again and again.
#[derive(Debug)]
pub(super) enum Check {
    Http(HttpCheck),
    Tcp(TcpCheck),
    Script(ScriptCheck),
}

impl Check {
    /// Makes one attempt, which ends after `timeout` at the latest.
    pub(super) async fn run(&self, timeout: Duration) -> Outcome {
        let attempt = match self {
            Check::Http(check) => tokio::time::timeout(timeout, check.run()).await,
            Check::Tcp(check) => tokio::time::timeout(timeout, check.run()).await,
            // It has to end its processes and so keeps the time itself.
            Check::Script(check) => Ok(check.run(timeout).await),
        };
        attempt.unwrap_or_else(|_| Outcome::fail("timeout"))
    }
}

/// The probes of one instance, with the rules of each.
pub(super) fn checks(spec: &ProcessSpec, subject: Subject<'_>) -> Vec<(Check, Rules)> {
    let Subject {
        instance,
        process,
        env,
    } = subject;
    let expand = |text: &str| expand_for_instance(text, env, instance.index);
    let mut checks = Vec::new();
    for set in spec.config.health.sets() {
        let role = set.role;
        if let Some(http) = set.http {
            let check = HttpCheck::new(http, expand);
            checks.push((Check::Http(check), rules!(role, ProbeKind::Http, http)));
        }
        if let Some(tcp) = set.tcp {
            let check = TcpCheck::new(&expand(&tcp.host), &expand(&tcp.port.0));
            checks.push((Check::Tcp(check), rules!(role, ProbeKind::Tcp, tcp)));
        }
        if let Some(script) = set.script {
            let check = ScriptCheck(Script {
                command: expand(&script.command),
                cwd: spec.cwd.clone(),
                env: env.clone().into(),
                user: spec.config.user.clone(),
                group: spec.config.group.clone(),
                sandbox: spec.config.sandbox(),
                beside: process.cloned(),
            });
            checks.push((
                Check::Script(check),
                rules!(role, ProbeKind::Script, script),
            ));
        }
    }
    checks
}

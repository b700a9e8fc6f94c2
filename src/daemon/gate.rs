//! The gate: the only implementation of `Control`.
//!
//! ```text
//!   caller ──► pace? ──► role? ──► intent row ──► registry or port ──► result row ──► answer
//!                          └─ no: denied row
//! ```
//!
//! What changes something is on record before it is done; what cannot be recorded is not
//! done. The gate decides nothing about processes and holds no state of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use supervisor::audit::{Attempt, Audit, OpenAttempt};
use supervisor::command::PortCommand;
use supervisor::{
    Bus, Caller, Command, Control, ControlError, Event, InstanceId, Reply, Request, Role, Target,
};
use tokio::sync::{broadcast, watch};
use tracing::warn;

use super::dispatch::Dispatch;
use super::pace::Pace;
use super::port::{Port, PortMethod};

/// Methods by name, each with the port that has it.
type Ports = BTreeMap<&'static str, (PortMethod, Arc<dyn Port>)>;

/// Checks, records and passes on every command.
pub(crate) struct Gate {
    dispatch: Arc<dyn Dispatch>,
    ports: RwLock<Ports>,
    /// How the names of methods begin whose port is about to be opened.
    coming: watch::Sender<&'static [&'static str]>,
    audit: Audit,
    bus: Bus,
    pace: Pace,
    closed: AtomicBool,
}

impl Gate {
    pub(crate) fn new(dispatch: Arc<dyn Dispatch>, audit: Audit, bus: Bus) -> Self {
        Self {
            dispatch,
            ports: RwLock::default(),
            coming: watch::Sender::default(),
            audit,
            bus,
            pace: Pace::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Opens the methods of a port. Done after the gate exists, since ports act through it.
    pub(crate) fn register(&self, port: Arc<dyn Port>) {
        let mut ports = self.ports.write().unwrap_or_else(PoisonError::into_inner);
        for method in port.methods() {
            ports.insert(method.name, (*method, port.clone()));
        }
    }

    /// The method of that name, if a port has it.
    pub(crate) fn port_method(&self, name: &str) -> Option<PortMethod> {
        let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
        ports.get(name).map(|(method, _)| *method)
    }

    /// Says which methods are about to be opened. Who calls one waits for it, and nobody else
    /// does: so what takes long to start delays no answer about processes.
    pub(crate) fn announce(&self, beginnings: &'static [&'static str]) {
        self.coming.send_replace(beginnings);
    }

    /// As [`Gate::port_method`], once all methods that begin so and were announced are open.
    pub(crate) async fn announced_method(&self, name: &str) -> Option<PortMethod> {
        let mut coming = self.coming.subscribe();
        let is_open = |coming: &&[&str]| !coming.iter().any(|start| name.starts_with(start));
        // Fails only when the gate is gone, and we hold it.
        let _ = coming.wait_for(is_open).await;
        self.port_method(name)
    }

    /// The instances a target means now.
    pub(crate) async fn resolve(&self, target: &Target) -> Result<Vec<InstanceId>, ControlError> {
        self.dispatch.resolve(target).await
    }

    /// Refuses all but the version from now on: the daemon ends.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// As [`Control::call`], for what follows from a request that was let in already, such as
    /// the next lines of a stream: it is not counted as a request.
    pub(crate) async fn call_on(
        &self,
        caller: &Caller,
        request: Request,
    ) -> Result<Reply, ControlError> {
        let Request {
            command,
            dry_run,
            incident,
        } = request;
        // Whoever waits for the end may ask whether it is still there.
        if self.closed.load(Ordering::Acquire) && command != Command::Version {
            return Err(ControlError::ShuttingDown);
        }
        let attempt = || Attempt {
            command: command.name().to_owned(),
            subject: subject(&command),
            dry_run,
            incident: incident.clone(),
        };
        let (role, changes) = self.needed(&command);
        if caller.role < role {
            let refusal = ControlError::Forbidden {
                what: command.name().to_owned(),
                who: caller.to_string(),
                needed: role,
                has: caller.role,
            };
            self.denied(caller, attempt(), &refusal).await;
            return Err(refusal);
        }
        if !changes {
            return self.perform(caller, command, dry_run).await;
        }
        let open = self.begin(caller, attempt()).await?;
        let result = self.perform(caller, command, dry_run).await;
        self.end(open, failure(&result)).await;
        result
    }

    async fn perform(
        &self,
        caller: &Caller,
        command: Command,
        dry_run: bool,
    ) -> Result<Reply, ControlError> {
        match command {
            Command::Port(port) => self.perform_port(caller, port, dry_run).await,
            command if dry_run => Ok(Reply::Plan(self.dispatch.plan(&command).await?)),
            command => self.dispatch.call(caller, command).await,
        }
    }

    async fn perform_port(
        &self,
        caller: &Caller,
        command: PortCommand,
        dry_run: bool,
    ) -> Result<Reply, ControlError> {
        let PortCommand { method, params, .. } = command;
        let port = {
            let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
            ports.get(method.as_str()).cloned()
        };
        let Some((declared, port)) = port else {
            return Err(ControlError::Unavailable {
                what: format!("`{method}`"),
                remedy: "this daemon has no such part".into(),
            });
        };
        if dry_run && declared.changes {
            return Err(ControlError::Unavailable {
                what: format!("a dry run of `{method}`"),
                remedy: "ask again without dry_run".into(),
            });
        }
        Ok(Reply::Port(port.call(caller, &method, params).await?))
    }

    /// The role a command needs. A port's own declaration counts, not what the request says.
    fn needed(&self, command: &Command) -> (Role, bool) {
        let declared = match command {
            Command::Port(port) => self.port_method(&port.method),
            _ => None,
        };
        match declared {
            Some(method) => (method.role, method.changes),
            None => (command.role(), command.changes()),
        }
    }

    async fn begin(&self, caller: &Caller, attempt: Attempt) -> Result<OpenAttempt, ControlError> {
        let (audit, caller) = (self.audit.clone(), caller.clone());
        off_the_runtime(move || audit.begin(&caller, attempt))
            .await
            .map_err(|error| ControlError::Store {
                message: format!(
                    "the audit log cannot be written ({error}), so nothing was done; free some space or fix its permissions"
                ),
            })
    }

    async fn end(&self, attempt: OpenAttempt, error: Option<String>) {
        let audit = self.audit.clone();
        if let Err(error) = off_the_runtime(move || audit.end(attempt, error)).await {
            warn!(%error, "A result could not be written to the audit log.");
        }
    }

    async fn denied(&self, caller: &Caller, attempt: Attempt, refusal: &ControlError) {
        let (audit, caller, text) = (self.audit.clone(), caller.clone(), refusal.to_string());
        if let Err(error) = off_the_runtime(move || audit.denied(&caller, attempt, text)).await {
            warn!(%error, "A refusal could not be written to the audit log.");
        }
    }
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[async_trait]
impl Control for Gate {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError> {
        self.pace.admit(caller, &request.command)?;
        self.call_on(caller, request).await
    }

    fn watch(&self, caller: &Caller) -> Result<broadcast::Receiver<Arc<Event>>, ControlError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ControlError::ShuttingDown);
        }
        if caller.role < Role::Viewer {
            return Err(ControlError::Forbidden {
                what: "events.stream".into(),
                who: caller.to_string(),
                needed: Role::Viewer,
                has: caller.role,
            });
        }
        Ok(self.bus.subscribe())
    }
}

/// Whom a command is about. Parameters of a port may hold texts that do not belong on
/// record, so only what identifies is taken from them.
fn subject(command: &Command) -> String {
    const IDENTIFYING: [&str; 5] = ["name", "id", "process", "incident", "playbook"];
    match command {
        Command::Port(port) => IDENTIFYING
            .iter()
            .filter_map(|key| {
                let value = port.params.get(key)?;
                Some(
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            })
            .collect::<Vec<_>>()
            .join(","),
        other => other.subject(),
    }
}

/// What the audit says went wrong, also where only some of several targets failed.
fn failure(result: &Result<Reply, ControlError>) -> Option<String> {
    let failed: Vec<String> = match result {
        Err(error) => return Some(error.to_string()),
        Ok(Reply::Done(done)) => done
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.target, one.error.as_ref()?)))
            .collect(),
        Ok(Reply::Started(outcome)) => outcome
            .processes
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.name, one.error.as_ref()?)))
            .collect(),
        Ok(_) => return None,
    };
    (!failed.is_empty()).then(|| failed.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use supervisor::audit::Phase;
    use supervisor::command::{Done, view::PlannedChange};
    use supervisor::{Clock, Paths, Via};

    use super::*;

    struct Fake;

    #[async_trait]
    impl Dispatch for Fake {
        async fn call(&self, _: &Caller, command: Command) -> Result<Reply, ControlError> {
            match command {
                Command::Stop { target, .. } => Ok(Reply::Done(vec![Done {
                    target: target.0,
                    changed: false,
                    note: None,
                    error: Some("it will not die".into()),
                }])),
                Command::Save => Err(ControlError::NotFound {
                    target: "x".into(),
                    near: vec![],
                }),
                _ => Ok(Reply::Ok),
            }
        }

        async fn plan(&self, _: &Command) -> Result<Vec<PlannedChange>, ControlError> {
            Ok(vec![])
        }

        async fn resolve(&self, _: &Target) -> Result<Vec<InstanceId>, ControlError> {
            Ok(vec![])
        }
    }

    struct Parrot;

    #[async_trait]
    impl Port for Parrot {
        fn methods(&self) -> &[PortMethod] {
            &[
                PortMethod {
                    name: "parrot.say",
                    role: Role::Viewer,
                    changes: false,
                    streams: false,
                },
                PortMethod {
                    name: "parrot.teach",
                    role: Role::Admin,
                    changes: true,
                    streams: false,
                },
            ]
        }

        async fn call(&self, _: &Caller, _: &str, params: Value) -> Result<Value, ControlError> {
            Ok(params)
        }
    }

    fn gate(folder: &std::path::Path) -> (Gate, Audit) {
        let paths = Paths::new(folder).unwrap();
        let audit = Audit::new(&paths, Clock::system());
        let gate = Gate::new(Arc::new(Fake), audit.clone(), Bus::new());
        gate.register(Arc::new(Parrot));
        (gate, audit)
    }

    fn caller(role: Role) -> Caller {
        Caller {
            principal: "ana".into(),
            role,
            via: Via::Cli,
        }
    }

    fn stop() -> Command {
        Command::Stop {
            target: Target("api".into()),
            force: false,
            signal: None,
        }
    }

    fn port(method: &str) -> Command {
        Command::Port(PortCommand {
            method: method.into(),
            params: json!({ "name": "api", "secret": "xyzzy" }),
            role: Role::Viewer,
            changes: false,
        })
    }

    #[tokio::test]
    async fn a_change_is_on_record_before_and_after() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, audit) = gate(folder.path());
        let reply = gate.call(&caller(Role::Operator), stop().into()).await;
        assert!(reply.is_ok());
        assert!(
            gate.call(&caller(Role::Operator), Command::Save.into())
                .await
                .is_err()
        );
        gate.call(&caller(Role::Operator), Command::Version.into())
            .await
            .unwrap();
        let rows = audit.query(10, None).unwrap();
        let phases: Vec<_> = rows.iter().map(|row| (row.phase, row.ok)).collect();
        assert_eq!(
            phases,
            [
                (Phase::Result, Some(false)),
                (Phase::Intent, None),
                (Phase::Result, Some(false)),
                (Phase::Intent, None),
            ]
        );
        assert_eq!(rows[2].error.as_deref(), Some("api: it will not die"));
        assert_eq!(rows[3].who, "cli:ana");
    }

    #[tokio::test]
    async fn a_role_that_is_too_low_is_refused_and_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, audit) = gate(folder.path());
        for command in [stop(), Command::Shutdown, port("parrot.teach")] {
            let refused = gate.call(&caller(Role::Viewer), command.into()).await;
            assert!(matches!(refused, Err(ControlError::Forbidden { .. })));
        }
        let rows = audit.query(10, None).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.phase == Phase::Denied));
    }

    #[tokio::test]
    async fn without_a_record_nothing_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, _) = gate(&folder.path().join("missing"));
        let refused = gate.call(&caller(Role::Admin), stop().into()).await;
        assert!(matches!(refused, Err(ControlError::Store { .. })));
        assert!(
            gate.call(&caller(Role::Viewer), Command::Version.into())
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn ports_are_checked_by_what_they_declare() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, audit) = gate(folder.path());
        let said = gate
            .call(&caller(Role::Viewer), port("parrot.say").into())
            .await
            .unwrap();
        assert!(matches!(said, Reply::Port(value) if value["name"] == "api"));
        gate.call(&caller(Role::Admin), port("parrot.teach").into())
            .await
            .unwrap();
        let rows = audit.query(10, None).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].subject, "api", "parameters stay out of the audit");
        let dry = Request {
            dry_run: true,
            ..port("parrot.teach").into()
        };
        assert!(matches!(
            gate.call(&caller(Role::Admin), dry).await,
            Err(ControlError::Unavailable { .. })
        ));
        assert!(matches!(
            gate.call(&caller(Role::Admin), port("nobody.home").into())
                .await,
            Err(ControlError::Unavailable { .. })
        ));
    }

    #[tokio::test]
    async fn a_dry_run_only_plans_and_a_closed_gate_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, audit) = gate(folder.path());
        let dry = Request {
            dry_run: true,
            ..stop().into()
        };
        assert_eq!(
            gate.call(&caller(Role::Operator), dry).await,
            Ok(Reply::Plan(vec![]))
        );
        assert!(audit.query(1, None).unwrap()[0].dry_run);
        gate.close();
        for (command, answer) in [
            (Command::Version, Ok(Reply::Ok)),
            (Command::Cron, Err(ControlError::ShuttingDown)),
        ] {
            let asked = gate.call(&caller(Role::Operator), command.into()).await;
            assert_eq!(asked, answer);
        }
        assert!(gate.watch(&caller(Role::Viewer)).is_err());
    }
}

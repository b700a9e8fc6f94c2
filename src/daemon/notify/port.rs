//! `notify.*`: what is told to whom, whether it arrived, and who looks after it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use chat::notify::{ChannelSettings, EventName, Input, NotifyError};
use chat::store::{Delivery, Letter};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::command::PortCommand;
use supervisor::config::{DaemonConfig, NOTIFICATION_EVENTS};
use supervisor::{
    Caller, Clock, Command, Control, ControlError, RegistryHandle, Reply, Role, after,
};
use tokio::sync::watch;

use super::{Opened, settings};
use crate::daemon::gate::Gate;
use crate::daemon::port::{Nothing, Port, PortMethod, invalid, read};

const fn method(name: &'static str, role: Role, changes: bool) -> PortMethod {
    PortMethod {
        name,
        role,
        changes,
        streams: false,
    }
}

const METHODS: [PortMethod; 7] = [
    method("notify.list", Role::Viewer, false),
    method("notify.events", Role::Viewer, false),
    method("notify.history", Role::Viewer, false),
    method("notify.test", Role::Operator, true),
    method("notify.ack", Role::Operator, true),
    method("notify.mute", Role::Operator, true),
    method("notify.unmute", Role::Operator, true),
];

/// Messages that are looked through for the last one of each channel.
const LOOKED: u32 = 500;
/// Looks at whether new settings have arrived, a moment apart.
const LOOKS: u32 = 100;
const MOMENT: Duration = Duration::from_millis(50);
/// Most rows of a history.
const MOST: u32 = 2_000;
/// Longest time that a process is muted.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Answers about the notifications.
pub(super) struct NotifyPort {
    pub(super) opened: Opened,
    pub(super) registry: RegistryHandle,
    pub(super) settings: watch::Receiver<Arc<DaemonConfig>>,
    pub(super) clock: Clock,
    /// Not strong: the gate holds the port.
    pub(super) gate: Weak<Gate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    #[serde(default = "fifty")]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ack {
    /// Of an incident; or the name of its process.
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mute {
    process: String,
    /// Without it until the process has recovered.
    duration_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unmute {
    process: String,
}

#[async_trait]
impl Port for NotifyPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        match method {
            "notify.list" => {
                let Nothing {} = read(method, params)?;
                self.list().await
            }
            "notify.events" => {
                let Nothing {} = read(method, params)?;
                Ok(self.events())
            }
            "notify.history" => self.history(read(method, params)?).await,
            "notify.test" => self.test(read(method, params)?).await,
            "notify.ack" => self.ack(caller, read(method, params)?).await,
            "notify.mute" => self.mute(read(method, params)?).await,
            _ => {
                let Unmute { process } = read(method, params)?;
                self.put(Input::Unmute(process.clone())).await?;
                Ok(json!({ "process": process, "muted": false }))
            }
        }
    }
}

impl NotifyPort {
    fn channels(&self) -> Vec<ChannelSettings> {
        settings::channels(&self.settings.borrow().clone())
    }

    async fn list(&self) -> Result<Value, ControlError> {
        let config = self.settings.borrow().clone();
        let (letters, dropped, left_out, overview) = match self.opened.get() {
            Some((notifier, store)) => {
                let letters = store.letters(None, LOOKED).await.map_err(unreadable)?;
                let dropped = store.dropped().await.map_err(unreadable)?;
                let left_out = store.left_out().await.map_err(unreadable)?;
                let overview = notifier.overview().await.map_err(refused)?;
                (letters, dropped, left_out, overview)
            }
            None => Default::default(),
        };
        let rows = self.channels().into_iter().map(|channel| {
            let table = config.notifications.channels.get(&channel.name);
            let events = table.map(|one| one.events.clone()).unwrap_or_default();
            let mut own = letters.iter().filter(|one| one.channel == channel.name);
            let waiting = own
                .clone()
                .filter(|one| one.delivery == Delivery::Waiting)
                .count();
            json!({
                "name": channel.name,
                "type": channel.target.kind(),
                "bot": matches!(channel.target, chat::notify::Target::Bot(_)),
                "enabled": channel.enabled,
                "events": events,
                "processes": channel.processes,
                "throttle_ms": channel.throttle.as_millis() as u64,
                "escalation_target": channel.escalation_target,
                "escalation_after_ms": channel.escalation_after.map(|one| one.as_millis() as u64),
                "waiting": waiting,
                "dropped": dropped.get(&channel.name).copied().unwrap_or_default(),
                "left_out": left_out.get(&channel.name).copied().unwrap_or_default(),
                "last": own.next().map(row),
            })
        });
        Ok(json!({
            "channels": rows.collect::<Vec<_>>(),
            "incidents": overview.incidents,
            "mutes": overview.mutes,
            "failure": self.opened.failure(),
        }))
    }

    fn events(&self) -> Value {
        let channels = self.channels();
        let rows = NOTIFICATION_EVENTS.iter().filter_map(|word| {
            let event: EventName = word.parse().ok()?;
            Some(json!({
                "event": event,
                "severity": event.severity(),
                "about": about(event),
                "channels": event.told_to(&channels).collect::<Vec<_>>(),
            }))
        });
        json!({
            "events": rows.collect::<Vec<_>>(),
            "channels": channels.iter().map(|one| &one.name).collect::<Vec<_>>(),
        })
    }

    async fn history(&self, asked: History) -> Result<Value, ControlError> {
        let letters = match self.opened.get() {
            Some((_, store)) => {
                let most = asked.limit.min(MOST);
                store.letters(None, most).await.map_err(unreadable)?
            }
            None => Vec::new(),
        };
        Ok(json!({ "rows": letters.iter().map(row).collect::<Vec<_>>() }))
    }

    async fn test(&self, asked: Named) -> Result<Value, ControlError> {
        let channels = self.channels();
        let Some(channel) = channels.iter().find(|one| one.name == asked.name) else {
            let near = near(&asked.name, channels.iter().map(|one| one.name.as_str()));
            return Err(ControlError::NotFound {
                target: asked.name,
                near,
            });
        };
        if !channel.enabled {
            let message = format!(
                "the channel {} is off: mhost notify enable {0}",
                channel.name
            );
            return Err(ControlError::Conflict { message });
        }
        let (ok, result) = self.tried(&channel.name).await?;
        Ok(json!({
            "name": channel.name,
            "type": channel.target.kind(),
            "ok": ok,
            "result": result,
        }))
    }

    /// Whether a test arrived, and what was answered. Settings that were read a moment ago are
    /// on their way to the notifier.
    async fn tried(&self, channel: &str) -> Result<(bool, String), ControlError> {
        let mut looks = 0;
        loop {
            let tested = match self.open() {
                Ok((notifier, _)) => notifier.test(channel).await,
                Err(_) if looks < LOOKS => Err(NotifyError::NoChannel(channel.to_owned())),
                Err(error) => return Err(error),
            };
            match tested {
                Ok(result) => return Ok((true, result)),
                Err(NotifyError::NoChannel(_)) if looks < LOOKS => {}
                Err(error @ NotifyError::Gone) => return Err(refused(error)),
                Err(error) => return Ok((false, error.to_string())),
            }
            looks += 1;
            tokio::time::sleep(MOMENT).await;
        }
    }

    async fn ack(&self, caller: &Caller, asked: Ack) -> Result<Value, ControlError> {
        let (notifier, _) = self.open()?;
        let by = caller.to_string();
        let mut done = notifier.acknowledge(&asked.id, &by).await;
        // The brain has ids of its own for the same trouble.
        if let Err(NotifyError::NoIncident(_)) = &done
            && let Some(process) = self.process_of(caller, &asked.id).await
        {
            done = notifier.acknowledge(&process, &by).await;
        }
        match done {
            Ok(incident) => Ok(json!(incident)),
            Err(NotifyError::NoIncident(target)) => {
                let open = notifier.overview().await.map_err(refused)?.incidents;
                let near = open.into_iter().map(|one| one.id).take(5).collect();
                Err(ControlError::NotFound { target, near })
            }
            Err(error) => Err(refused(error)),
        }
    }

    async fn process_of(&self, caller: &Caller, incident: &str) -> Option<String> {
        if !incident.starts_with("inc-") {
            return None;
        }
        let command = Command::Port(PortCommand {
            method: "brain.explain".to_owned(),
            params: json!({ "what": incident }),
            role: Role::Viewer,
            changes: false,
        });
        match self.gate.upgrade()?.call(caller, command.into()).await {
            Ok(Reply::Port(told)) => told["process"].as_str().map(str::to_owned),
            _ => None,
        }
    }

    async fn mute(&self, asked: Mute) -> Result<Value, ControlError> {
        let names = self.registry.names();
        if !names.iter().any(|name| name.as_str() == asked.process) {
            let near = near(&asked.process, names.iter().map(|name| name.as_str()));
            return Err(ControlError::NotFound {
                target: asked.process,
                near,
            });
        }
        let time = asked.duration_ms.map(Duration::from_millis);
        if time.is_some_and(|time| time.is_zero() || time > LONGEST) {
            return Err(invalid("a process is muted for up to a year".to_owned()));
        }
        let until = time.map(|time| after(self.clock.now(), time));
        let (notifier, _) = self.open()?;
        let muted = notifier.mute(&asked.process, until).await;
        muted.map_err(refused)?;
        Ok(json!({ "process": asked.process, "muted": true, "until": until }))
    }

    async fn put(&self, input: Input) -> Result<(), ControlError> {
        let (notifier, _) = self.open()?;
        notifier.put(input).await.map_err(refused)
    }

    fn open(&self) -> Result<(chat::notify::Notifier, chat::store::Store), ControlError> {
        self.opened.get().ok_or_else(|| ControlError::Unavailable {
            what: "what tells people".into(),
            remedy: match self.opened.failure() {
                Some(why) => why,
                None => "there is no channel yet: mhost notify setup".into(),
            },
        })
    }
}

/// Names that are like the one that is not there.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known: Vec<(usize, &str)> = known
        .map(|one| (strsim::damerau_levenshtein(one, name), one))
        .filter(|(far, _)| *far <= 3)
        .collect();
    known.sort_unstable();
    known
        .into_iter()
        .map(|(_, one)| one.to_owned())
        .take(3)
        .collect()
}

/// One message with its history.
fn row(letter: &Letter) -> Value {
    // One that cannot be read has no event.
    let message = letter.message.as_ref().ok();
    let notice = message.map(|one| &one.notice);
    json!({
        "ts": letter.at,
        "channel": letter.channel,
        "event": notice.map(|one| one.event),
        "severity": notice.map(|one| one.severity),
        "process": notice.map_or("", |one| one.process.as_str()),
        "message": message.map(|one| one.text()).unwrap_or_default(),
        "incident_id": notice.and_then(|one| one.incident.as_ref()),
        "delivery": letter.delivery.as_str(),
        "result": letter.result,
        "attempts": letter.tries,
        "due": (letter.delivery == Delivery::Waiting).then_some(letter.due),
        "id": letter.id,
    })
}

/// What an event tells, in a few words.
fn about(event: EventName) -> &'static str {
    match event {
        EventName::Crash => "A program died; critical from the third in 5 min",
        EventName::Errored => "It is not tried again, or did not come up",
        EventName::HealthFail => "A probe failed as often as `retries` says",
        EventName::HealthRecover => "All is well again after a crash or a failed probe",
        EventName::MemoryExceeded => "It used more memory than `max_memory`",
        EventName::Restart => {
            "Restarted by hand, by its schedule or for a changed file, or reloaded"
        }
        EventName::Stop => "Stopped by somebody",
        EventName::BrainHeal => "What a playbook did about an incident, and whether it helped",
        EventName::HealthScoreLow => "The health score fell below 40, or 20",
        EventName::AgentAction => "What the agent did or has to say",
        EventName::AgentApproval => "The agent asks for leave",
        EventName::Escalated => "The agent hands an incident to a person",
        EventName::DiskLow => "The disk of the home folder is nearly full",
        EventName::SinkDown => "A sink of log lines does not answer",
        EventName::DaemonStarted => "The daemon came up",
        EventName::DeployStart | EventName::DeployDone | EventName::DeployFailed => "",
        EventName::CertExpiring | EventName::Flapping | EventName::Digest | EventName::Test => "",
    }
}

fn unreadable(error: chat::store::StoreError) -> ControlError {
    ControlError::Store {
        message: error.to_string(),
    }
}

fn refused(error: NotifyError) -> ControlError {
    match error {
        NotifyError::Gone => ControlError::ShuttingDown,
        error => ControlError::Conflict {
            message: error.to_string(),
        },
    }
}

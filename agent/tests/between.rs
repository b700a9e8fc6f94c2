//! Between a question and its plan anything may happen: settings, the agent's brake, who may
//! decide, the process itself. Each change alone and many together, before the yes, after it, and
//! after a kill of the daemon: what runs is what the gate allows at the moment when it would begin.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

#[expect(dead_code, reason = "the rig serves other tests, too")]
mod rig;

use agent::Settings;
use agent::policy::Autonomy;
use brain::ApprovalState;
use rig::{Rig, World, restart};
use serde_json::json;
use supervisor::{Caller, HealthStatus, Role, Status, Via};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// `blocked_actions` has the action.
    Blocked,
    /// The level is manual.
    Manual,
    /// The process allows machines nothing.
    OwnManual,
    /// Whoever says yes is no approver.
    Unlisted,
    /// They have a lesser role in the chats.
    Demoted,
    /// Somebody holds the process.
    Held,
    /// Somebody stopped it.
    Unwanted,
    /// It is up again.
    Started,
    /// It has another definition.
    Redefined,
    /// Its playbook is switched off.
    Off,
    /// `mhost agent stop`.
    Stopped,
    /// `mhost agent pause`: it asks instead of acting.
    Paused,
    /// Quiet hours begin.
    Quiet,
    /// The budget is used up.
    Spent,
}

const ALL: [Change; 14] = [
    Change::Blocked,
    Change::Manual,
    Change::OwnManual,
    Change::Unlisted,
    Change::Demoted,
    Change::Held,
    Change::Unwanted,
    Change::Started,
    Change::Redefined,
    Change::Off,
    Change::Stopped,
    Change::Paused,
    Change::Quiet,
    Change::Spent,
];

impl Change {
    /// Is a plan refused then, whoever said yes? The others only make the gate ask, and a yes is
    /// the answer.
    fn forbids(self) -> bool {
        !matches!(self, Self::Paused | Self::Quiet | Self::Spent)
    }

    fn set(self, settings: &mut Settings) {
        match self {
            Self::Blocked => settings.blocked = vec!["restart".into()],
            Self::Manual => {
                settings.autonomy = Autonomy::Manual;
                settings.brain_autonomy = Autonomy::Manual;
            }
            Self::Unlisted => settings.approvers = vec!["cli:eve".into()],
            Self::Demoted => settings.chats = Some([("pager:7".into(), Role::Viewer)].into()),
            Self::Quiet => settings.quiet_hours = "00:00-00:00".parse().ok(),
            Self::Spent => settings.limits.per_hour = 0,
            _ => {}
        }
    }

    fn happen(self, world: &mut World) {
        if self == Self::Started {
            world.set("api", Status::Online, HealthStatus::Pass);
        }
        if self == Self::Off {
            world.version = None;
        }
        let api = world.processes.get_mut("api").unwrap();
        match self {
            Self::OwnManual => api.autonomy = Some(Autonomy::Manual),
            Self::Held => api.held = true,
            Self::Unwanted => api.wanted = false,
            Self::Redefined => api.config = json!({"command": "another"}),
            _ => {}
        }
    }
}

/// The one who says yes, with the role that their chat gives them.
fn somebody(settings: &Settings) -> Caller {
    let chats = settings.chats.as_ref().unwrap();
    Caller {
        principal: "pager:7".into(),
        role: chats["pager:7"],
        via: Via::Chat,
    }
}

fn settings() -> Settings {
    Settings {
        autonomy: Autonomy::Supervised,
        brain_autonomy: Autonomy::Supervised,
        approvers: vec!["pager:7".into()],
        chats: Some([("pager:7".into(), Role::Operator)].into()),
        ..Settings::default()
    }
}

async fn asked() -> (Rig, String) {
    let rig = Rig::with(settings(), vec![restart()]).await;
    rig.change(|world| world.version = Some("1".into()));
    rig.crash();
    let id = rig.question().await.id;
    (rig, id)
}

/// What is allowed runs once, and what is not never.
async fn judge(rig: &Rig, id: &str, changes: &[Change], said: bool) {
    if !changes.iter().any(|change| change.forbids()) {
        rig.until(
            &format!("it runs after {changes:?}"),
            30,
            async |rig: &Rig| !rig.calls().is_empty(),
        )
        .await;
        assert_eq!(
            rig.calls(),
            ["process.restart api as Operator"],
            "{changes:?}"
        );
        return;
    }
    if said {
        let what = format!("the yes is void after {changes:?}");
        rig.until(&what, 30, async |rig: &Rig| {
            let found = rig.agent.question(id).await.unwrap().unwrap();
            found.state == ApprovalState::Superseded
        })
        .await;
    }
    rig.pass(40).await;
    assert_eq!(rig.calls(), Vec::<String>::new(), "{changes:?}");
}

/// Nothing, each change alone, and many together.
fn cases() -> Vec<Vec<Change>> {
    let more: usize = std::env::var("MHOST_RANDOM")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(16);
    let alone = ALL.iter().map(|change| vec![*change]);
    let mut cases: Vec<Vec<Change>> = std::iter::once(vec![]).chain(alone).collect();
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..more {
        // Xorshift: the same sets at every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Of two draws the common part: some four of them.
        let drawn = seed & (seed >> 20);
        let one = ALL.iter().enumerate();
        let one = one.filter(|(place, _)| drawn >> place & 1 == 1);
        cases.push(one.map(|(_, change)| *change).collect());
    }
    cases
}

#[tokio::test(start_paused = true)]
async fn before_the_yes() {
    for changes in cases() {
        let (rig, id) = asked().await;
        let mut now = settings();
        for change in &changes {
            change.set(&mut now);
        }
        rig.agent.reconfigure(now.clone());
        rig.change(|world| changes.iter().for_each(|change| change.happen(world)));
        let ana = somebody(&now);
        if changes.contains(&Change::Paused) {
            let hour = std::time::Duration::from_secs(3_600);
            rig.agent.pause(&ana, hour).await.unwrap();
        }
        if changes.contains(&Change::Stopped) {
            rig.agent.stop().await.unwrap();
        }
        let said = rig.agent.approve(&ana, &id).await;
        let allowed = !changes.iter().any(|change| change.forbids());
        assert_eq!(said.is_ok(), allowed, "{changes:?} {said:?}");
        judge(&rig, &id, &changes, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_yes() {
    for mut changes in cases() {
        // They take a moment, in which the plan begins.
        changes.retain(|change| !matches!(change, Change::Stopped | Change::Paused));
        let (rig, id) = asked().await;
        rig.agent
            .approve(&somebody(&settings()), &id)
            .await
            .unwrap();
        let mut now = settings();
        for change in &changes {
            change.set(&mut now);
        }
        rig.agent.reconfigure(now);
        rig.change(|world| changes.iter().for_each(|change| change.happen(world)));
        judge(&rig, &id, &changes, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_yes_and_a_kill() {
    for changes in cases() {
        let (mut rig, id) = asked().await;
        rig.agent
            .approve(&somebody(&settings()), &id)
            .await
            .unwrap();
        for change in &changes {
            change.set(&mut rig.settings);
        }
        let mut switch = json!({});
        if changes.contains(&Change::Stopped) {
            switch["started"] = json!(false);
        }
        if changes.contains(&Change::Paused) {
            switch["paused_until"] = json!("2999-01-01T00:00:00Z");
        }
        std::fs::write(rig.folder.path().join("agent.json"), switch.to_string()).unwrap();
        let happens = |world: &mut World| changes.iter().for_each(|change| change.happen(world));
        let rig = rig.reborn_while(happens).await;
        judge(&rig, &id, &changes, true).await;
    }
}

//! Programs that hide, and programs that multiply.

use std::time::Duration;

use serde_json::json;

use crate::rig::{PATIENCE, Rig, pause, until, wait_until};
use crate::{amount, tell};

/// A program that forks twice into a new session and ignores SIGTERM leaves nothing.
#[test]
fn what_hides_in_a_session_of_its_own_is_ended_too() {
    let rounds = amount(10, 100);
    let rig = Rig::new();
    rig.ok(&[
        "start",
        "puppet fork",
        "--name",
        "api",
        "--grace-period",
        "100ms",
    ]);
    for round in 0..rounds {
        until("the grandchild is there", || {
            rig.home().strays_named("puppet").len() == 2
        });
        rig.ok(&["stop", "api"]);
        let left = rig.home().strays_named("puppet");
        assert!(left.is_empty(), "round {round}: {left:?}");
        rig.ok(&["start", "api"]);
    }
    rig.ok(&["delete", "api"]);
    rig.assert_only(&[]);
    tell("hidden", &json!({ "stops": rounds }));
}

/// A tree that forks for ever is gone after a stop: each process that ends has left two of its
/// kind in sessions of their own, as many as the bomb may be.
#[test]
fn a_fork_bomb_is_ended_whole() {
    let rounds = amount(2, 20);
    let rig = Rig::new();
    rig.write("bomb.sh", BOMB);
    let command = "sh bomb.sh 1";
    rig.ok(&[
        "start",
        command,
        "--name",
        "bomb",
        "--grace-period",
        "200ms",
    ]);
    let (mut most, mut total) = (0, 0);
    for round in 0..rounds {
        let mut seen = 0;
        until("the bomb has gone off", || {
            seen = rig.home().strays_named("sh").len();
            seen > 40
        });
        most = most.max(seen);
        total += seen;
        rig.ok(&["stop", "bomb", "--timeout", "60s"]);
        let mut left = Vec::new();
        let gone = wait_until(PATIENCE, || {
            left = rig.home().strays_named("sh");
            left.is_empty()
        });
        assert!(gone, "round {round}: {} are left", left.len());
        // Nor do any come back.
        pause(Duration::from_millis(300));
        assert!(rig.home().strays_named("sh").is_empty(), "round {round}");
        rig.ok(&["start", "bomb"]);
    }
    rig.ok(&["delete", "bomb", "--timeout", "60s"]);
    rig.assert_only(&[]);
    tell(
        "bomb",
        &json!({ "stops": rounds, "most": most, "mean": total / rounds }),
    );
}

/// Doubles up to 64, and each of these has a successor every 200 ms.
const BOMB: &str = r#"
trap '' TERM
depth=$1
if [ "$depth" -lt 7 ]; then
    next=$((depth + 1))
    setsid sh bomb.sh $next &
    setsid sh bomb.sh $next &
else
    sleep 0.2
    setsid sh bomb.sh $depth &
fi
[ "$depth" -gt 1 ] && exit 0
while :; do sleep 1; done
"#;

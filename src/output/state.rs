//! How a state looks: a sign **and** a word, so that neither colour nor font is needed.

use supervisor::{HealthStatus, Status};

use super::style::Tone;
use super::text;

/// The sign of a state.
fn sign(status: Status) -> char {
    match status {
        Status::Online => '●',
        Status::Starting => '◐',
        Status::Stopping => '◑',
        Status::Errored => '✗',
        Status::Stopped => '○',
    }
}

/// `● online`, `✗ errored (retry in 3.2s, 4)`: the sign and all that is known.
pub(crate) fn label(status: Status, detail: &str) -> String {
    let detail = if detail.is_empty() {
        status.as_str().into()
    } else {
        text::clean(detail)
    };
    format!("{} {detail}", sign(status))
}

/// The colour of a state.
pub(crate) fn tone(status: Status) -> Tone {
    match status {
        Status::Online => Tone::Good,
        Status::Starting | Status::Stopping => Tone::Busy,
        Status::Errored => Tone::Bad,
        Status::Stopped => Tone::Quiet,
    }
}

/// The colour of a probe's result.
pub(crate) fn health_tone(health: HealthStatus) -> Tone {
    match health {
        HealthStatus::Pass => Tone::Good,
        HealthStatus::Fail => Tone::Bad,
        HealthStatus::Pending => Tone::Busy,
        HealthStatus::Off => Tone::Quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_sign_and_a_word() {
        let all = [
            (Status::Online, "● online"),
            (Status::Starting, "◐ starting"),
            (Status::Stopping, "◑ stopping"),
            (Status::Errored, "✗ errored"),
            (Status::Stopped, "○ stopped"),
        ];
        for (status, wanted) in all {
            assert_eq!(label(status, ""), wanted);
        }
        assert_eq!(
            label(Status::Errored, "errored (breaker)"),
            "✗ errored (breaker)"
        );
    }
}

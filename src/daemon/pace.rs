//! How often anybody may ask.
//!
//! Each caller has a bucket of its own, so that one that runs wild delays nobody else. The
//! owner of the socket has one that scripts do not notice; it only stops a loop that would
//! keep the daemon from its work. The daemon itself is not counted.
//!
//! Other people's agents all come in the name of one person. Each conversation of theirs counts
//! by itself, so that one in a loop does not silence the next; and since an agent may begin as
//! many as it likes, all of them together have a bucket, too.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, QuantaClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use supervisor::command::PortCommand;
use supervisor::{Caller, Command, ControlError, Role, Via};

type Buckets = RateLimiter<String, HashMapStateStore<String>, QuantaClock>;

/// Requests a second of the owner.
const OWNER: NonZeroU32 = NonZeroU32::new(2_000).expect("not zero");
/// Requests a second of anybody else.
const OTHERS: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Requests a second of all other people's agents together: five of them at their own pace.
const AGENTS: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
/// Longest name of a conversation that is told from others, in bytes.
const SESSION: usize = 64;
/// A bucket holds what so many seconds bring.
const BURST: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
/// So many callers are remembered before those that have been quiet are forgotten.
const CALLERS: usize = 1_000;

/// The buckets of all callers.
pub(super) struct Pace {
    clock: QuantaClock,
    owner: Buckets,
    others: Buckets,
    agents: Buckets,
}

impl Pace {
    pub(super) fn new() -> Self {
        let clock = QuantaClock::default();
        let buckets = |rate: NonZeroU32| {
            let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST));
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        };
        Self {
            owner: buckets(OWNER),
            others: buckets(OTHERS),
            agents: buckets(AGENTS),
            clock,
        }
    }

    /// Counts a request, or says when the caller may ask again.
    pub(super) fn admit(&self, caller: &Caller, command: &Command) -> Result<(), ControlError> {
        let who = caller.to_string();
        match (&caller.via, caller.role) {
            (Via::System | Via::Agent | Via::Playbook(_), _) => Ok(()),
            // First its own: what is refused there takes nothing from the others.
            (Via::Mcp, _) => {
                self.count(&self.others, OTHERS, &of_session(&who, command))?;
                self.count(&self.agents, AGENTS, &who)
            }
            (_, Role::SuperAdmin) => self.count(&self.owner, OWNER, &who),
            (_, Role::None | Role::Viewer | Role::Operator | Role::Admin) => {
                self.count(&self.others, OTHERS, &who)
            }
        }
    }

    fn count(&self, buckets: &Buckets, rate: NonZeroU32, who: &str) -> Result<(), ControlError> {
        if buckets.len() > CALLERS {
            buckets.retain_recent();
        }
        buckets.check_key(&who.to_owned()).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            ControlError::RateLimited {
                limit: rate.get(),
                retry_ms: whole_millis(wait),
            }
        })
    }
}

/// An agent in one of its conversations, where its request names one.
fn of_session(who: &str, command: &Command) -> String {
    let named = match command {
        Command::Port(PortCommand { params, .. }) => params["session"].as_str(),
        _ => None,
    };
    let session = named.unwrap_or_default();
    let end = session.floor_char_boundary(SESSION);
    format!("{who} {}", &session[..end])
}

/// Rounded up, so that whoever waits so long is let in.
fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller(principal: &str, role: Role) -> Caller {
        Caller {
            principal: principal.into(),
            role,
            via: Via::Rpc,
        }
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_ask_again() {
        let pace = Pace::new();
        let admit = |caller: &Caller| pace.admit(caller, &Command::Version);
        let (ana, bob) = (caller("ana", Role::Operator), caller("bob", Role::Operator));
        let burst = OTHERS.get() * BURST.get();
        let refused = (0..2 * burst).find_map(|_| admit(&ana).err());
        let Some(ControlError::RateLimited { limit, retry_ms }) = refused else {
            panic!("never refused: {refused:?}")
        };
        assert_eq!(limit, OTHERS.get());
        assert!((1..=1_000).contains(&retry_ms), "{retry_ms}");
        assert_eq!(admit(&bob), Ok(()));
        let owner = caller("ana", Role::SuperAdmin);
        assert!((0..OWNER.get()).all(|_| admit(&owner).is_ok()));
        assert!((0..100_000).all(|_| admit(&Caller::system()).is_ok()));
    }

    fn guest(session: &str) -> (Caller, Command) {
        let caller = Caller {
            via: Via::Mcp,
            ..caller("ana", Role::Operator)
        };
        let command = Command::Port(PortCommand {
            method: "agent.look".into(),
            role: Role::Viewer,
            changes: false,
            params: json!({ "session": session }),
        });
        (caller, command)
    }

    /// The first refusal of a guest that asks on and on, and what it asked before.
    fn until_refused(pace: &Pace, session: impl Fn(u32) -> String) -> (u32, u32) {
        let refused = (0..10_000).find_map(|n| {
            let (caller, command) = guest(&session(n));
            Some((n, pace.admit(&caller, &command).err()?))
        });
        match refused {
            Some((asked, ControlError::RateLimited { limit, .. })) => (asked, limit),
            other => panic!("never refused: {other:?}"),
        }
    }

    #[test]
    fn an_agent_that_runs_wild_does_not_silence_the_next() {
        let pace = Pace::new();
        let (_, limit) = until_refused(&pace, |_| "wild".into());
        assert_eq!(limit, OTHERS.get());
        let (caller, command) = guest("quiet");
        assert_eq!(pace.admit(&caller, &command), Ok(()));
    }

    #[test]
    fn all_agents_together_are_bounded_however_many_sessions_they_begin() {
        let pace = Pace::new();
        let (asked, limit) = until_refused(&pace, |n| format!("s{n}"));
        assert_eq!(limit, AGENTS.get());
        assert!(asked >= AGENTS.get() * BURST.get(), "{asked}");
        let owner = caller("ana", Role::SuperAdmin);
        assert_eq!(pace.admit(&owner, &Command::Version), Ok(()));
        // A name that is long is no way to be new again.
        let long = |n: u32| format!("{}{n}", "x".repeat(SESSION));
        let (_, limit) = until_refused(&Pace::new(), long);
        assert_eq!(limit, OTHERS.get());
    }
}

//! How often anybody may ask.
//!
//! Each caller has a bucket of its own, so that one that runs wild delays nobody else. The
//! owner of the socket has one that scripts do not notice; it only stops a loop that would
//! keep the daemon from its work. The daemon itself is not counted.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, QuantaClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use supervisor::{Caller, ControlError, Role, Via};

type Buckets = RateLimiter<String, HashMapStateStore<String>, QuantaClock>;

/// Requests a second of the owner.
const OWNER: NonZeroU32 = NonZeroU32::new(2_000).expect("not zero");
/// Requests a second of anybody else.
const OTHERS: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// A bucket holds what so many seconds bring.
const BURST: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
/// So many callers are remembered before those that have been quiet are forgotten.
const CALLERS: usize = 1_000;

/// The buckets of all callers.
pub(super) struct Pace {
    clock: QuantaClock,
    owner: Buckets,
    others: Buckets,
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
            clock,
        }
    }

    /// Counts a request, or says when the caller may ask again.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), ControlError> {
        let (buckets, rate) = match (&caller.via, caller.role) {
            (Via::System | Via::Agent | Via::Playbook(_), _) => return Ok(()),
            (_, Role::SuperAdmin) => (&self.owner, OWNER),
            (_, Role::Viewer | Role::Operator | Role::Admin) => (&self.others, OTHERS),
        };
        if buckets.len() > CALLERS {
            buckets.retain_recent();
        }
        buckets.check_key(&caller.to_string()).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            ControlError::RateLimited {
                limit: rate.get(),
                retry_ms: whole_millis(wait),
            }
        })
    }
}

/// Rounded up, so that whoever waits so long is let in.
fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
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
        let (ana, bob) = (caller("ana", Role::Operator), caller("bob", Role::Operator));
        let burst = OTHERS.get() * BURST.get();
        let refused = (0..2 * burst).find_map(|_| pace.admit(&ana).err());
        let Some(ControlError::RateLimited { limit, retry_ms }) = refused else {
            panic!("never refused: {refused:?}")
        };
        assert_eq!(limit, OTHERS.get());
        assert!((1..=1_000).contains(&retry_ms), "{retry_ms}");
        assert_eq!(pace.admit(&bob), Ok(()));
        let owner = caller("ana", Role::SuperAdmin);
        assert!((0..OWNER.get()).all(|_| pace.admit(&owner).is_ok()));
        assert!((0..100_000).all(|_| pace.admit(&Caller::system()).is_ok()));
    }
}

//! Keeps programs alive, and never loses one, nor a line of its log.
//!
//! This crate is a complete supervisor. It knows nothing of models, chat or incidents, and
//! imports no other crate of the workspace.

pub mod audit;
pub mod backoff;
mod bus;
mod caller;
mod clock;
pub mod command;
pub mod config;
mod control;
mod event;
mod ids;
mod instance;
mod latest;
pub mod launch;
pub mod logs;
pub mod machine;
pub mod metrics;
pub mod notice;
mod os_text;
mod paths;
mod probe;
mod registry;
mod sampler;

mod schedule;
mod seams;
pub mod secret;
mod shared;
#[cfg(test)]
mod simulation;
pub mod sinks;
pub mod spec;
pub mod state;
pub mod store;
pub mod sys;
mod tasks;
pub mod templates;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;
mod watch;

pub use bus::Bus;
pub use caller::{Caller, Role, Via};
pub use clock::{Clock, after, until};
pub use command::view::HealthStatus;
pub use command::{Command, Reply, Request, Target};
pub use control::{Actor, Control, ControlError};
pub use event::{Event, EventKind, NewEvent};
pub use ids::{EventId, Generation, InstanceId, MAX_NAME, NameError, ProcessName, RESERVED_NAMES};
pub use os_text::OsText;
pub use paths::{HomeError, MAX_SOCKET_PATH, Paths, Stream};
pub use probe::{ProbeEvent, Probes};
pub use registry::{Foundation, Glance, RegistryHandle, Standing, Vitals};
pub use sampler::{MemoryBreach, Sampler, TreeSample};
pub use schedule::{Schedule, ScheduleError};
pub use spec::{AutonomyLimit, GroupSpec, ProcessSpec};
pub use state::{ProcessRef, Status};
pub use tasks::Tasks;
pub use watch::{WatchError, Watcher};

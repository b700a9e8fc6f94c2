//! Config files: loading, checking and explaining them.
//!
//! ```text
//!   TOML ─┐
//!   YAML ─┼─► tree (values with places) ─► expand ${…} ─► check (shape) ─► types ─► validate
//!   JSON ─┘                                   every stage reports into one list of Problems
//! ```
//!
//! There is one tree, one expander, one check and one deserializer for the three formats, so
//! that they cannot drift. The check is driven by the JSON Schema that the types generate; the
//! types are the only description of a file. All problems of a file are reported at once, each
//! with its line, its column and what to type instead.
//!
//! This module reads files and nothing else: it starts no process and asks no daemon.

mod allowed;
mod argv;
mod check;
mod command_line;
mod daemon;
mod deserialize;
mod discover;
mod envfile;
mod expand;
mod forms;
mod headers;
mod json_text;
mod listen;
mod order;
mod plain_file;
mod problem;
mod project;
mod reload;
mod schema;
mod select;
mod shell;
mod sinks;
mod suggest;
mod toml_text;
mod tree;
mod validate;
mod yaml_text;

pub use argv::ArgvError;
pub use command_line::{
    CommandLineError, CommandLineProcess, from_command_line, parse_env, parse_instances,
    parse_memory,
};
pub use daemon::{
    AgentConfig, AiConfig, AiPrice, AiProvider, AiProviderConfig, ApprovalsConfig, BotConfig,
    BotRole, BoundsConfig, BrainConfig, ChatId, DaemonConfig, DaemonTable, DiscordConfig,
    EscalationConfig, ExternalBrainConfig, LogLevel, LogsConfig, MetricsConfig,
    NOTIFICATION_ALIASES, NOTIFICATION_EVENTS, NotificationConfig, NotificationRegion,
    NotificationSeverity, NotificationTls, NotificationType, NotificationsConfig, PlaybookConfig,
    SeverityMap, SlackConfig, TelegramConfig, ThinkWhen, WebhookConfig, is_here,
};
pub use discover::{Discovery, PROJECT_FILES, discover, is_project_file};
pub use envfile::read_env_files;
pub use expand::expand_for_instance;
pub use plain_file::open as open_plain_file;
pub use problem::{LoadError, Problem, Severity, Source};
pub use project::{
    GroupConfig, LoadContext, LoadedProject, ProjectFile, load_project, load_project_text,
    load_table, to_json, to_toml, variables,
};
pub use schema::{project_reference, project_schema};
pub use select::{SelectError, Selection};
pub use sinks::{Facility, SinkConfig, SinkType, Transport};

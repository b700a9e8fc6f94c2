//! The playbooks that come with mhost: the folder `playbooks/` of the repository. A test
//! compares this list with the folder.

use super::Format;

macro_rules! builtin {
    ($($name:literal $kind:ident $ending:literal),+ $(,)?) => {
        /// Name, form and text of each.
        pub(super) const BUILTIN: &[(&str, Format, &str)] = &[$((
            $name,
            Format::$kind,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../playbooks/",
                $name,
                $ending
            )),
        )),+];
    };
}

builtin!(
    "backlog" Rhai ".rhai",
    "cpu-spike" Rhai ".rhai",
    "crashed" Rhai ".rhai",
    "connection-refused" Toml ".toml",
    "deploy-rollback" Rhai ".rhai",
    "error-storm" Rhai ".rhai",
    "falls-behind" Rhai ".rhai",
    "flapping-probe" Rhai ".rhai",
    "gave-up" Rhai ".rhai",
    "health-recover" Rhai ".rhai",
    "log-flood" Rhai ".rhai",
    "not-ready" Rhai ".rhai",
    "memory-rising" Toml ".toml",
    "missing-module" Toml ".toml",
    "no-permission" Toml ".toml",
    "no-space" Toml ".toml",
    "oom-restart" Rhai ".rhai",
    "out-of-memory" Toml ".toml",
    "port-conflict" Toml ".toml",
    "piles-up" Rhai ".rhai",
    "probe-failed" Rhai ".rhai",
    "probe-fails-again" Rhai ".rhai",
    "rapid-crash" Rhai ".rhai",
    "same-death" Rhai ".rhai",
    "slow-dependency" Rhai ".rhai",
    "slow-start" Rhai ".rhai",
    "zombie-process" Rhai ".rhai",
);

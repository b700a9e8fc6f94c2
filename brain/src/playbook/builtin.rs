//! The playbooks that come with mhost: the folder `playbooks/` of the repository. A test
//! compares this list with the folder.

macro_rules! builtin {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each.
        pub(super) const BUILTIN: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../playbooks/",
                $name,
                ".rhai"
            )),
        )),+];
    };
}

builtin!(
    "backlog",
    "crashed",
    "deploy-rollback",
    "error-storm",
    "flapping-probe",
    "gave-up",
    "health-recover",
    "log-flood",
    "not-ready",
    "oom-restart",
    "probe-failed",
    "probe-fails-again",
    "rapid-crash",
    "same-death",
    "slow-dependency",
    "slow-start",
    "zombie-process",
);

//! The nearest known word, and the words people bring from elsewhere.

/// Keys of other tools and near misses that spelling does not find.
const ELSEWHERE: &[(&str, &str)] = &[
    ("app", "process"),
    ("apps", "process"),
    ("processes", "process"),
    ("program", "process"),
    ("service", "process"),
    ("services", "process"),
    ("group", "groups"),
    ("cmd", "command"),
    ("exec", "command"),
    ("run", "command"),
    ("script", "command"),
    ("argv", "args"),
    ("arguments", "args"),
    ("exec_interpreter", "interpreter"),
    ("numprocs", "instances"),
    ("replicas", "instances"),
    ("scale", "instances"),
    ("chdir", "cwd"),
    ("dir", "cwd"),
    ("directory", "cwd"),
    ("workdir", "cwd"),
    ("working_dir", "cwd"),
    ("working_directory", "cwd"),
    ("environment", "env"),
    ("envs", "env"),
    ("dotenv", "env_file"),
    ("memory", "max_memory"),
    ("memory_limit", "max_memory"),
    ("max_memory_restart", "max_memory"),
    ("backoff", "restart_delay"),
    ("exp_backoff_restart_delay", "restart_delay"),
    ("kill_timeout", "grace_period"),
    ("stop_timeout", "grace_period"),
    ("stopwaitsecs", "grace_period"),
    ("kill_signal", "stop_signal"),
    ("stopsignal", "stop_signal"),
    ("restart", "autorestart"),
    ("auto_restart", "autorestart"),
    ("cron", "cron_restart"),
    ("schedule", "cron_restart"),
    ("tz", "timezone"),
    ("ignore_watch", "ignore"),
    ("depends", "depends_on"),
    ("requires", "depends_on"),
    ("after", "depends_on"),
    ("healthcheck", "health"),
    ("probe", "health"),
    ("listen_timeout", "start_timeout"),
    ("nonewprivileges", "no_new_privs"),
    ("no_new_privileges", "no_new_privs"),
    ("capability", "capabilities"),
    ("caps", "capabilities"),
    ("capability_bounding_set", "capabilities"),
    ("capabilityboundingset", "capabilities"),
    ("ambientcapabilities", "capabilities"),
    ("privatetmp", "private_tmp"),
    ("autostart", "enabled"),
    ("members", "processes"),
    ("order", "start_order"),
    ("status", "expected_code"),
    ("every", "interval"),
    ("period", "interval"),
    ("threshold", "retries"),
    ("failure_threshold", "retries"),
    ("initial_delay", "start_period"),
];

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let same = |known: &str| known.to_lowercase().replace('-', "_") == lower;
    if let Some(exact) = known.clone().into_iter().find(|known| same(known)) {
        return Some(exact);
    }
    let other = ELSEWHERE.iter().find(|(from, _)| *from == lower);
    if let Some((_, to)) = other
        && let Some(found) = known.clone().into_iter().find(|known| known == to)
    {
        return Some(found);
    }
    // A third of the letters may differ, at least one: `prot` finds `port`, `x` finds nothing.
    let allowed = (lower.chars().count().max(3) / 3).min(3);
    known
        .into_iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&lower, &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `a`, `b` or `c`, each in backticks.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_habits_find_their_key() {
        let known = [
            "command",
            "cwd",
            "max_memory",
            "max_restarts",
            "grace_period",
        ];
        for (word, wanted) in [
            ("max_memry", Some("max_memory")),
            ("max-restarts", Some("max_restarts")),
            ("Command", Some("command")),
            ("comand", Some("command")),
            ("script", Some("command")),
            ("kill_timeout", Some("grace_period")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

//! What a playbook can say: every field, query and constructor, with its meaning.
//!
//! The one list behind `docs/playbook-reference.md`, the definitions for editors
//! (`docs/mhost.d.rhai`) and the checks of [`super::lint`]. A test compares it with what the
//! engine really knows, so that nothing is missing and nothing is invented.
//! It is one piece although it is long: one list.

use std::fmt::Write as _;

/// Which part of the contract something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// A question of `c`.
    Query,
    /// Makes a step of a plan.
    Action,
    /// Computes.
    Helper,
}

/// One function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    pub(crate) group: Group,
    pub(crate) name: &'static str,
    /// Parameters after `c`; one called `w` is a window such as `"5m"`.
    pub(crate) params: &'static [&'static str],
    pub(crate) returns: &'static str,
    pub(crate) doc: &'static str,
}

const fn query(
    name: &'static str,
    params: &'static [&'static str],
    returns: &'static str,
    doc: &'static str,
) -> Function {
    Function {
        group: Group::Query,
        name,
        params,
        returns,
        doc,
    }
}

const fn action(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
) -> Function {
    Function {
        group: Group::Action,
        name,
        params,
        returns: "map",
        doc,
    }
}

const fn helper(
    name: &'static str,
    params: &'static [&'static str],
    returns: &'static str,
    doc: &'static str,
) -> Function {
    Function {
        group: Group::Helper,
        name,
        params,
        returns,
        doc,
    }
}

/// All functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    query(
        "crashes",
        &["w"],
        "int",
        "Runs that died in the last `w`, failed starts included.",
    ),
    query(
        "restarts",
        &["w"],
        "int",
        "Restarts in the last `w`, whatever their reason.",
    ),
    query(
        "restarts_by",
        &["reason", "w"],
        "int",
        "Restarts for one reason: `crash`, `manual`, `memory`, `cron`, `watch`, `reload`, `probe`, `brain` or `agent`.",
    ),
    query(
        "heals",
        &["w"],
        "int",
        "How often a probe passed again in the last `w`.",
    ),
    query(
        "events",
        &["name", "w"],
        "array",
        "Events of one kind, oldest first, at most 100: `#{id, name, ts, instance, data}`.",
    ),
    query(
        "seen",
        &["fingerprint", "w"],
        "int",
        "Deaths with this fingerprint in the last `w`.",
    ),
    query(
        "fingerprint",
        &[],
        "string",
        "Fingerprint of the newest death; empty if nothing died.",
    ),
    query(
        "illness",
        &[],
        "string",
        "Fingerprint of this incident: its sign, the exit and the telling line without what differs from run to run. Empty when there is no telling line.",
    ),
    query(
        "same_death",
        &["n"],
        "bool",
        "Did it die the same death `n` times in a row?",
    ),
    query(
        "death",
        &[],
        "map or ()",
        "The newest death: `#{at, instance, code, signal, exit, uptime_s, error, output, kind, waitable, words, place, source, print, readable, same, poses_as_order, sentence}`.",
    ),
    query(
        "was_online",
        &[],
        "bool",
        "Was it online at some time of the last hour?",
    ),
    query(
        "last_action",
        &["name"],
        "float or ()",
        "Seconds since mhost did this to the process, within the last hour.",
    ),
    query(
        "cpu_avg",
        &["w"],
        "float",
        "Average CPU of all copies together, in percent of one core.",
    ),
    query(
        "cpu_max",
        &["w"],
        "float",
        "Highest CPU sample, in percent of one core.",
    ),
    query(
        "cpu_above",
        &["percent", "w"],
        "bool",
        "Was CPU above this in every sample, with samples for at least 80 % of `w`?",
    ),
    query(
        "rss_avg",
        &["w"],
        "float",
        "Average resident memory, in bytes.",
    ),
    query(
        "rss_above",
        &["bytes", "w"],
        "bool",
        "Was resident memory above this in every sample, with samples for at least 80 % of `w`?",
    ),
    query(
        "rss_growth",
        &["w"],
        "float",
        "Relative growth of resident memory: 0.5 is half as much again.",
    ),
    query(
        "rss_slope",
        &["w"],
        "float",
        "Growth of resident memory by least squares, in bytes a second.",
    ),
    query(
        "probe_failures",
        &[],
        "int",
        "Failed probes in a row, of the worst copy.",
    ),
    query(
        "probe_down_for",
        &[],
        "float",
        "For how many seconds the probe has been failing, of the worst copy.",
    ),
    query(
        "probe_success",
        &["w"],
        "float or ()",
        "Share of probes that passed, 0.0 to 1.0; `()` without a probe.",
    ),
    query(
        "probe_attempts",
        &["w"],
        "map",
        "`#{passed, total}` of the probes in the last `w`.",
    ),
    query(
        "latency_p95",
        &["w"],
        "float or ()",
        "Milliseconds within which 95 % of the probes answered; `()` without a probe.",
    ),
    query("log_count", &["regex", "w"], "int", "Lines that match."),
    query(
        "log_lines",
        &["regex", "w"],
        "array",
        "The newest lines that match, at most 20.",
    ),
    query(
        "log_numbers",
        &["regex", "w"],
        "array",
        "The numbers that the first group of the expression catches in the lines that match, as maps of `n` and `age_s`, oldest first: at most 20, spread evenly over the newest 500.",
    ),
    query(
        "says",
        &["regex", "w"],
        "bool",
        "Does the event (last words, error) or a line of the last `w` match?",
    ),
    query("log_bytes", &["w"], "int", "Bytes it printed."),
    query(
        "log_rate_bytes",
        &["w"],
        "float",
        "Bytes it printed, a second.",
    ),
    query(
        "error_rate",
        &["w"],
        "float or ()",
        "Share of lines that report an error, 0.0 to 1.0; 1.0 after two crashes; `()` with under 20 lines.",
    ),
    query(
        "errors",
        &["w"],
        "array",
        "Groups of alike error lines, the most telling first: `#{text, id, template, count, first_s, last_s, named, kind, words}`.",
    ),
    query(
        "last_line",
        &["w"],
        "string",
        "The newest line; empty if there is none.",
    ),
    query(
        "trouble",
        &[],
        "map",
        "What seems wrong with a live process: `#{words, failures, down_s, cpu, error, kind, dependency}`.",
    ),
    query(
        "blamed",
        &["w"],
        "array",
        "Other processes that complain about this one: `#{process, text, id}`.",
    ),
    query(
        "blames",
        &["w"],
        "array",
        "Other processes that this one complains about: `#{process, text, id}`.",
    ),
    query(
        "sick_dependency",
        &[],
        "map or ()",
        "A dependency that is not well: `#{name, words}`.",
    ),
    query(
        "wanted_port",
        &[],
        "int or ()",
        "The port it wants to listen on, from its last words or its probe.",
    ),
    query(
        "piles_up",
        &["window"],
        "map or ()",
        "What only ever grew in the window: `#{what, from, to, seconds}`; `what` is `zombies`, `child processes`, `threads` or `open descriptors`.",
    ),
    query(
        "port_holder",
        &["port"],
        "map or ()",
        "Who listens on a port here: `#{pid, command, port}`.",
    ),
    action(
        "restart",
        &[],
        "Stop gracefully and start again. Risk: low.",
    ),
    action("restart", &["instance"], "The same, one copy. Risk: low."),
    action("reload", &[], "Replace without a gap. Risk: low."),
    action("start", &[], "Start a registered process. Risk: low."),
    action(
        "kill_restart",
        &[],
        "SIGKILL, then start. Risk: low while its probe fails, else high.",
    ),
    action("kill_restart", &["instance"], "The same, one copy."),
    action(
        "halt",
        &["reason"],
        "Stop a process that is not online, and hold it. Risk: low; forbidden on one that is well.",
    ),
    action("stop", &[], "Stop a process that is online. Risk: high."),
    action(
        "scale_up",
        &["n"],
        "More copies, up to `c.bound.max_instances`. Risk: high.",
    ),
    action(
        "scale_down",
        &["n"],
        "Fewer copies, never none. Risk: high.",
    ),
    action(
        "set_limit",
        &["key", "value"],
        "Change `max_memory`, `max_restarts` or `grace_period`, at most by a factor of 2. Risk: high.",
    ),
    action(
        "clear_error",
        &[],
        "Leave the error state and reset the counters. Risk: low.",
    ),
    action(
        "update_score",
        &[],
        "Compute the health score again. Risk: none.",
    ),
    action(
        "run_probe",
        &[],
        "Try its probe now instead of at its next turn, and wait for the verdict, which counts for no streak. It fails when no copy is up that has a probe, and not when the probe does. Risk: none.",
    ),
    action(
        "rollback",
        &[],
        "Go back to the definition before the newest. Risk: high.",
    ),
    action(
        "wait",
        &["duration"],
        "Let time pass, at most 10 minutes. Risk: none.",
    ),
    action(
        "notify",
        &["severity", "text"],
        "Tell people; severity is `info`, `warning` or `critical`. Risk: none.",
    ),
    action("log_incident", &["text"], "Keep a record only. Risk: none."),
    action(
        "escalate",
        &["text"],
        "Hand the incident to a person. Risk: none.",
    ),
    action(
        "ask",
        &["text"],
        "Ask a person before the rest of the plan runs, whatever the level is.",
    ),
    helper("kb", &["n"], "int", "KiB in bytes."),
    helper("mb", &["n"], "int", "MiB in bytes."),
    helper("gb", &["n"], "int", "GiB in bytes."),
    helper("in_mb", &["bytes"], "int", "Bytes in MiB."),
    helper(
        "dur",
        &["text"],
        "float",
        "A duration such as `\"5m\"` in seconds.",
    ),
    helper(
        "percent_of",
        &["part", "whole"],
        "float",
        "`part` of `whole` in percent; 0 when `whole` is 0.",
    ),
    helper(
        "number_after",
        &["text", "word"],
        "int or ()",
        "The first number in `text` after `word`.",
    ),
];

/// A field of `c`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) doc: &'static str,
}

const fn field(name: &'static str, kind: &'static str, doc: &'static str) -> Field {
    Field { name, kind, doc }
}

/// All fields of `c`.
pub(crate) const FIELDS: &[Field] = &[
    field("name", "string", "The process."),
    field(
        "state",
        "string",
        "The worst state of its copies: `stopped`, `starting`, `online`, `stopping` or `errored`.",
    ),
    field(
        "detail",
        "string",
        "State with its flags, as `mhost list` shows it.",
    ),
    field("held", "bool", "Is it held?"),
    field(
        "retries",
        "bool",
        "Will the supervisor try a copy again by itself?",
    ),
    field(
        "wanted",
        "bool",
        "Should it run, by what a person last asked for?",
    ),
    field("instances", "int", "Copies there are."),
    field("online", "int", "Copies that are online."),
    field("alive", "int", "Copies with a live process."),
    field("desired", "int", "Copies wanted."),
    field("configured", "int", "Copies written in the config file."),
    field(
        "uptime_s",
        "float",
        "Seconds since the youngest live run began.",
    ),
    field("restarts", "int", "Restarts since the last manual start."),
    field("now", "int", "The time, in seconds since 1970."),
    field("tags", "array", "Its tags."),
    field(
        "config",
        "map",
        "Its whole definition; values of variables are masked.",
    ),
    field("env_file", "string or ()", "Its env file."),
    field(
        "p",
        "map",
        "The params of META, with what the config says over them.",
    ),
    field(
        "age_s",
        "float",
        "Seconds since the plan was carried out; only in `verify` and `on_failure`.",
    ),
    field(
        "is_autonomous",
        "bool",
        "May machines act on this process without asking?",
    ),
    field(
        "event",
        "map or ()",
        "What it is asked about: `#{name, data, instance, ts}`; `()` on a tick.",
    ),
    field(
        "all",
        "array",
        "Its copies: `#{index, pid, alive, state, rss, cpu, uptime_s, probe, probe_failures, probe_error}`.",
    ),
    field(
        "host",
        "map",
        "The machine: `#{cpus, load1, mem_total, mem_free, disk_free}`, in bytes.",
    ),
    field(
        "deploy",
        "()",
        "The newest deploy. This version of mhost deploys nothing, so it is always `()`.",
    ),
    field(
        "score",
        "map or ()",
        "Its health: `#{value, crash, probe, memory, cpu}`; `()` while it is stopped on purpose.",
    ),
    field(
        "bound",
        "map",
        "How far a machine may go: `#{max_instances, max_memory}`.",
    ),
    field("max_memory", "int or ()", "Its memory limit, in bytes."),
    field("max_restarts", "int", "Its breaker; 0 is none."),
    field("depends_on", "array", "Names of what it depends on."),
    field(
        "changed_s",
        "float or ()",
        "Seconds since its definition last changed.",
    ),
    field(
        "has_previous",
        "bool",
        "Is there a definition to go back to?",
    ),
    field("has_probe", "bool", "Has it a probe?"),
    field(
        "healthy",
        "bool",
        "Is every copy online with its probes passing?",
    ),
];

/// A key of the header.
const HEADER: &[Field] = &[
    field(
        "name",
        "string",
        "Required; the file is called `<name>.rhai`.",
    ),
    field("version", "int", "Required."),
    field(
        "description",
        "string",
        "Required. What it is for, in a line.",
    ),
    field(
        "on",
        "array",
        "Required. What it is asked on: `crash`, `spawn_failed`, `errored`, `health_fail`, `health_recover`, `memory_exceeded`, `tick` (the slow look) or `score` (health below 20).",
    ),
    field(
        "process",
        "string",
        "Which processes; `*` and `?` stand for anything. Default `*`.",
    ),
    field(
        "priority",
        "int",
        "Higher is asked earlier among those of its source. Default 50.",
    ),
    field(
        "cooldown",
        "string",
        "How long it rests after a run on a process. Default `5m`.",
    ),
    field(
        "max_per_hour",
        "int",
        "Runs on a process in an hour. Default 6.",
    ),
    field(
        "confidence",
        "float",
        "How sure it is, 0.0 to 1.0; below 0.5 a person is always asked. Default 0.8.",
    ),
    field(
        "enabled",
        "bool",
        "Is it asked before `mhost brain playbook enable`? Default `true`.",
    ),
    field(
        "params",
        "map",
        "Values that `[brain.playbooks.<name>] params` of config.toml can set; read as `c.p`.",
    ),
];

const PARTS: &[(&str, &str)] = &[
    (
        "matches(c)",
        "Required. `true` when it has something to say, or `#{ok, evidence: [#{id, text}]}`.",
    ),
    (
        "plan(c)",
        "Required. An array of what the constructors below make, at most 10 steps.",
    ),
    (
        "reason(c)",
        "The root cause, for people. Without it the description is taken.",
    ),
    (
        "verify(c)",
        "Asked again and again after the plan ran: `()` not yet, `true` it helped, `false` it did not. Without it: online and quiet for a while.",
    ),
    (
        "on_failure(c)",
        "A plan for when the first one did not help. Only words and a `halt` are carried out.",
    ),
];

/// `docs/playbook-reference.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Playbook reference\n\n\
         <!-- Generated by `UPDATE=1 cargo test --workspace playbook_reference`. Do not edit. -->\n\n\
         A playbook is a file of pure functions: it reads the object `c` and returns data. It cannot act, wait, \
         read the clock or open anything.\n\
         [docs/playbooks.md](playbooks.md) is the walk for newcomers.\n\n## Functions to write\n\n\
         | Function | Answer |\n|---|---|\n",
    );
    for (name, doc) in PARTS {
        let _ = writeln!(text, "| `{name}` | {doc} |");
    }
    text.push_str("\n## Keys of META\n\n");
    fields(&mut text, HEADER, "");
    text.push_str("\n## Fields of `c`\n\n");
    fields(&mut text, FIELDS, "c.");
    for (group, title, lead) in [
        (
            Group::Query,
            "Queries of `c`",
            "A window `w` is a duration such as `\"5m\"` or a number of seconds, at most a day.\n\
             Every answer is kept with the incident, so that it can be replayed.\n\n",
        ),
        (Group::Action, "Steps of a plan", ""),
        (Group::Helper, "Helpers", ""),
    ] {
        let _ = write!(
            text,
            "\n## {title}\n\n{lead}| Call | Answer | Meaning |\n|---|---|---|\n"
        );
        for one in FUNCTIONS.iter().filter(|one| one.group == group) {
            let owner = if group == Group::Query { "c." } else { "" };
            let _ = writeln!(
                text,
                "| `{owner}{}({})` | {} | {} |",
                one.name,
                one.params.join(", "),
                one.returns,
                one.doc
            );
        }
    }
    text.push_str(
        "\n## Limits\n\n\
         200,000 operations and 200 ms of computing a call, which may take 5 s on a busy machine; 32 calls deep, texts of 64 KiB, arrays of 1,000, maps of 500, \
         128 files.\n\
         No `eval`, no `import`, no `sleep`, no clock.\n\
         Three errors while running, or one breach of these limits, turn a playbook off until its file changes.\n\n\
         ## The declarative form\n\n\
         `<name>.toml` is translated to the same playbook; `mhost brain playbook show <name>` prints the script it becomes.\n\n\
         | Key | Meaning |\n|---|---|\n\
         | `name`, `description`, `version`, `priority`, `confidence`, `enabled` | As in META; the name may be left out. |\n\
         | `trigger.on` | Events; without it the playbook is asked on each tick. |\n\
         | `trigger.process` | Which processes. |\n\
         | `trigger.pattern` | A regular expression over the last words and the log of `trigger.window`. |\n\
         | `trigger.exit_code` | The exit code of the death. |\n\
         | `trigger.condition` | An expression, see below. |\n\
         | `trigger.count`, `trigger.window` | So many events (or lines that match) in this time. Window: default `30s`. |\n\
         | `[[action]]` | `type` is a constructor of above; its arguments are keys: `instance`, `reason`, `n`, `key`, `value`, `for`, `severity`, `text`. |\n\
         | `limits.cooldown`, `limits.max_per_hour` | As in META. |\n\
         | `verify.condition`, `verify.within` | It helped when the condition holds; it did not when this time is over. Default `60s`. |\n\n\
         A condition joins terms with `AND`, `OR` and parentheses.\n\
         A term is a flag (`health_fail`, `errored`, `stopped`, `healthy`) or `<metric> <op> <number>[unit]`, and may end in `for <duration>` for `cpu` and `memory`.\n\
         Metrics: `cpu` (%), `memory` (a size, or % of max_memory), `memory_growth` (%), `restarts`, `crashes`, `error_rate` (%), `latency` (ms), `score`, `uptime` (s), `probe_failures` and `log(\"regex\")`.\n",
    );
    text
}

fn fields(text: &mut String, all: &[Field], owner: &str) {
    text.push_str("| Name | Kind | Meaning |\n|---|---|---|\n");
    for one in all {
        let _ = writeln!(
            text,
            "| `{owner}{}` | {} | {} |",
            one.name, one.kind, one.doc
        );
    }
}

/// `docs/mhost.d.rhai`: what an editor with the language server of Rhai reads.
pub fn definitions() -> String {
    let mut text = String::from(
        "// Generated by `UPDATE=1 cargo test --workspace playbook_reference`. Do not edit.\n\
         module static;\n\n/// What a playbook may know: the object `c` of its functions.\n///\n",
    );
    for one in FIELDS {
        let _ = writeln!(text, "/// - `c.{}` ({}): {}", one.name, one.kind, one.doc);
    }
    text.push_str("let c: Context;\n");
    for one in FUNCTIONS {
        let mut params: Vec<String> = Vec::new();
        if one.group == Group::Query {
            params.push("c: Context".to_owned());
        }
        params.extend(one.params.iter().map(|name| format!("{name}: ?")));
        let returns = match one.returns {
            "int" => "i64",
            "float" => "f64",
            "string" => "String",
            "bool" => "bool",
            "array" => "Array",
            "map" => "Map",
            _ => "?",
        };
        let _ = write!(
            text,
            "\n/// {}\nfn {}({}) -> {returns};\n",
            one.doc,
            one.name,
            params.join(", ")
        );
    }
    text
}

/// Names of the constructors that make a step.
pub(crate) fn is_action(name: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|one| one.group == Group::Action && one.name == name)
}

/// The most alike of `known`, when it is alike enough to be meant.
pub(crate) fn near<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|one| (strsim::osa_distance(found, one), one))
        .filter(|(steps, one)| *steps <= 1 + one.len() / 4)
        .min()
        .map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{context, sandbox};

    /// Name and number of arguments of all functions an engine has from us.
    fn known() -> BTreeSet<(String, usize)> {
        let signatures = |with: bool| -> BTreeSet<String> {
            let mut engine = sandbox::engine();
            if with {
                context::register(&mut engine);
            }
            engine.gen_fn_signatures(true).into_iter().collect()
        };
        let own = signatures(true);
        own.difference(&signatures(false))
            .filter_map(|signature| {
                let (name, rest) = signature.split_once('(')?;
                let args = rest.rsplit_once(')')?.0;
                let name = name.rsplit("::").next()?.trim().to_owned();
                let depth = |text: &str| text.matches('<').count() - text.matches('>').count();
                let commas = args
                    .match_indices(',')
                    .filter(|(at, _)| depth(&args[..*at]) == 0);
                let count = if args.trim().is_empty() {
                    0
                } else {
                    commas.count() + 1
                };
                (name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some((name, count))
            })
            .collect()
    }

    #[test]
    fn the_list_is_what_the_engine_knows() {
        let listed: BTreeSet<(String, usize)> = FUNCTIONS
            .iter()
            .map(|one| {
                let own = usize::from(one.group == Group::Query);
                (one.name.to_owned(), one.params.len() + own)
            })
            .collect();
        let known = known();
        let missing: Vec<_> = known.difference(&listed).collect();
        let invented: Vec<_> = listed.difference(&known).collect();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "{missing:?} {invented:?}"
        );
    }

    #[test]
    fn near_names_are_found() {
        let known = || ["crashes", "restarts", "cpu_avg"].into_iter();
        assert_eq!(near("crahses", known()), Some("crashes"));
        assert_eq!(near("restart", known()), Some("restarts"));
        assert_eq!(near("explode", known()), None);
    }
}

//! The file that `mhost brain playbook new` writes, and the scenario that proves it.

/// A playbook that works, with every part explained.
pub fn script(name: &str) -> String {
    format!(
        r#"//! Restart a process that logs the same error again and again.
//!
//! Why: write here what you saw, and why this helps. Whoever meets this playbook at night
//! reads this first.

// What it is called, what it is asked about, and how often it may act.
const META = #{{ name: "{name}", version: 1,
                description: "Restart a process that logs the same error again and again",
                on: ["tick"],          // or "crash", "health_fail", "memory_exceeded", "score" …
                process: "*",          // or "api-*"
                enabled: false,        // until: mhost brain playbook enable {name}
                cooldown: "10m", max_per_hour: 2,
                params: #{{ error: "pool is drained", lines: 3, window: "1m" }} }};

// Is this the illness? `c` answers questions; `c.p` are the params above, which config.toml can
// set: [brain.playbooks.{name}] params = {{ lines = 5 }}
fn matches(c) {{
    c.state == "online" && c.log_count(c.p.error, c.p.window) >= c.p.lines
}}

// The root cause in words, for people.
fn reason(c) {{
    `${{c.name}} logged "${{c.p.error}}" ${{c.log_count(c.p.error, c.p.window)}} times in ${{c.p.window}}`
}}

// What to do. Nothing here acts: it returns data, and the gate decides.
fn plan(c) {{ [ restart(), notify("warning", reason(c)) ] }}

// Did it help? () is "not yet"; true and false are the answer.
fn verify(c) {{
    if c.age_s < 30.0 {{ return (); }}
    c.state == "online" && c.log_count(c.p.error, "20s") == 0
}}
"#
    )
}

/// The scenario of [`script`]: a case that acts and one that must not.
pub fn scenario(name: &str) -> String {
    format!(
        r#"# Small worlds that prove the playbook: mhost brain playbook test {name}
# Times are how long ago. See docs/playbooks.md for all keys.
playbook = "{name}"

[[case]]
name = "the same error three times is a reason"
on = "tick"
actions = ["restart", "notify"]
cause = ["pool is drained", "3 times"]
log = [{{ text = "Error: pool is drained (10 of 10)", ago = "5s", times = 3, every = "5s" }}]

[[case]]
name = "once is not"
on = "tick"
log = [{{ text = "Error: pool is drained (10 of 10)", ago = "5s" }}]

[[case]]
name = "a process that is down is somebody else's"
on = "tick"
process = {{ state = "stopped" }}
log = [{{ text = "Error: pool is drained (10 of 10)", ago = "5s", times = 3, every = "5s" }}]
"#
    )
}

/// The declarative form of a starter.
pub fn declared(name: &str) -> String {
    format!(
        r#"# Restart a process that logs the same error again and again.
name = "{name}"
description = "Restart a process that logs the same error again and again"
enabled = false                 # until: mhost brain playbook enable {name}

[trigger]                       # all that is given must hold
process = "*"                   # or "api-*"
# on = ["crash"]                # without it: asked on every slow look
condition = "log('pool is drained') >= 3 AND NOT stopped"

[[action]]
type = "restart"

[[action]]
type = "notify"                 # without a text it tells the description
severity = "warning"

[limits]
cooldown = "10m"
max_per_hour = 2

[verify]
condition = "uptime > 30s AND log('pool is drained') < 1"
within = "90s"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Format;
    use crate::playbook::lint::lint;

    #[test]
    fn starters_have_nothing_to_mend() {
        assert_eq!(lint("mine", Format::Rhai, &script("mine")), []);
        assert_eq!(lint("mine", Format::Toml, &declared("mine")), []);
    }
}

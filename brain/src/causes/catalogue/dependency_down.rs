//! Something it depends on does not answer at all.
//!
//! Looks for refused and unreachable connections, and for dependencies that are not well.
//! Proof: the address is refused now too, or the process behind it is down. The blame goes to
//! that process; the victim comes back by itself and is not touched.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "dependency-down",
    title: "a dependency does not answer",
    look,
    examples: &[
        Example {
            scene: r#"
                probed = true
                probe_failures = 3
                probe_error = "status 503"
                lines = [
                    "ERROR query failed: connect ECONNREFUSED 127.0.0.1:5432",
                    "ERROR query failed: connect ECONNREFUSED 127.0.0.1:5432",
                ]
                [[reach]]
                host = "127.0.0.1"
                port = 5432
                answer = "refused"
                process = "postgres"
                [[neighbours]]
                name = "postgres"
                detail = "online, probe failing"
                well = false
                probe_error = "refused"
            "#,
            says: &["postgres", "refused", "5432"],
        },
        Example {
            scene: r#"
                state = "errored"
                online = 0
                [[deaths]]
                code = 1
                same = 3
                error = "dial tcp 10.0.0.9:6379: connect: connection refused"
                [[reach]]
                host = "10.0.0.9"
                port = 6379
                answer = "refused"
            "#,
            says: &["10.0.0.9:6379", "not by mhost"],
        },
    ],
};

fn look(scene: &Scene) -> Option<Found> {
    let said = scene
        .said("dependency")
        .filter(|said| !said.line.was_handled())
        .or_else(|| upstream(scene));
    let reach = scene
        .reach
        .iter()
        .filter(|one| one.port > 0)
        .max_by_key(|one| {
            (
                one.answer == "refused" || one.answer == "unreachable",
                one.process.is_some(),
            )
        });
    let failing =
        reach.filter(|one| matches!(one.answer.as_str(), "refused" | "unreachable" | "timeout"));
    // The dependency it names, or that its definition names, and that is ill.
    let sick = scene
        .depends_on
        .iter()
        .filter_map(|name| scene.neighbour(name))
        .find(|one| !one.well);
    let named = said.as_ref().and_then(|said| {
        scene
            .neighbours
            .iter()
            .find(|one| mentions(&said.line.text, &one.name) || mentions(&said.all, &one.name))
    });
    let process = failing
        .and_then(|one| one.process.clone())
        .or_else(|| reach.and_then(|one| one.process.clone()))
        .or_else(|| named.map(|one| one.name.clone()))
        .or_else(|| sick.map(|one| one.name.clone()))
        .filter(|name| *name != scene.name);
    if said.is_none() && (sick.is_none() || scene.is_well()) {
        return None;
    }
    let address = failing
        .or(reach)
        .map(|one| format!("{}:{}", one.host, one.port));
    let neighbour = process.as_deref().and_then(|name| scene.neighbour(name));
    let ill = neighbour.is_some_and(|one| !one.well);
    let stands = neighbour.map_or_else(String::new, |one| match &one.probe_error {
        Some(error) => format!(
            " `{}` is {}, but down for its probe ({error}).",
            one.name, one.detail
        ),
        None if !one.well => format!(" `{}` is {}: down.", one.name, one.detail),
        None => format!(" `{}` is {} now.", one.name, one.detail),
    });
    let how = match failing.map(|one| one.answer.as_str()) {
        Some("refused") => "its connection is refused: nobody is listening there",
        Some("timeout") => "it does not answer in time",
        Some(_) => "it is unreachable",
        None => "its connection is refused or unreachable",
    };
    let subject = match (&process, &address) {
        (Some(process), Some(address)) => {
            format!("`{process}` at {address}, on which it depends, is down: {how}")
        }
        (Some(process), None) => format!("`{process}`, on which it depends, is down: {how}"),
        (None, Some(address)) => format!(
            "{address} does not answer: {how}. Nothing of that address is run by mhost here (not by mhost, or on another host)"
        ),
        (None, None) => format!("something it depends on does not answer: {how}"),
    };
    let mut found = Found::new(format!(
        "`{}` fails because {subject}.{stands}{}",
        scene.name,
        said.as_ref().map_or_else(String::new, |said| format!(
            " {}{}",
            quote(said),
            again(said)
        )),
    ));
    if let Some(said) = &said {
        found = found.line(said.weight() * 0.85, &said.line);
    }
    if let Some(one) = failing {
        found = found.proof(
            0.6,
            format!("address:{}:{}", one.host, one.port),
            format!("{}:{} tried now: {}", one.host, one.port, one.answer),
        );
    }
    if let Some(one) = neighbour {
        found = found.proof_if(
            !one.well,
            0.65,
            format!("process:{}", one.name),
            format!(
                "{} is {}{}",
                one.name,
                one.detail,
                one.probe_error
                    .as_ref()
                    .map_or_else(String::new, |error| format!(", probe: {error}"))
            ),
        );
    }
    let open = reach.is_some_and(|one| one.answer == "open") && failing.is_none();
    let stale = said
        .as_ref()
        .is_some_and(|said| !said.deadly && said.line.age_s > FRESH_S);
    found = found
        .against(open && !ill, 0.5, "the address answers now")
        .against(stale && !ill, 0.7, "it has not complained for a while")
        .against(said.is_none() && !ill, 0.5, "it does not complain about it");
    if scene.is_well() && !ill && failing.is_none() {
        found = found.unless_well(scene);
    }
    Some(match process {
        Some(process) => found.blame(&process).advise(
            "restart",
            format!(
                "restart `{process}`, not `{}`: that comes back by itself",
                scene.name
            ),
        ),
        None => found
            .advise("wait", "it is tried again with growing delays")
            .person(format!(
                "see why {} does not answer",
                address.unwrap_or_else(|| "it".to_owned())
            )),
    })
}

/// What it says of a process it depends on that answers with an error.
fn upstream(scene: &Scene) -> Option<Said> {
    static ANSWERED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b50[0-4]\b|bad gateway|unavailable|fail|error|closed|reset|no answer")
            .expect("a constant")
    });
    let lines: Vec<&Line> = scene
        .matching(&ANSWERED)
        .into_iter()
        .filter(|line| !line.was_handled())
        .filter(|line| {
            scene
                .depends_on
                .iter()
                .any(|name| mentions(&line.text, name))
        })
        .collect();
    let newest = lines.last()?;
    Some(Said {
        line: (*newest).clone(),
        times: lines.len(),
        since_s: lines.first().map_or(0.0, |line| line.age_s),
        deadly: false,
        all: newest.text.clone(),
    })
}

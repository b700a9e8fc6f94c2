//! Something it depends on answers too late.
//!
//! Looks for timeouts that name another process or its address. Proof: that process is slow
//! by its own words or by its probe, or uses a whole core. The blame goes there.

use super::prelude::*;

pub(crate) const CAUSE: Cause = Cause {
    name: "dependency-slow",
    title: "a dependency answers too late",
    look,
    examples: &[Example {
        scene: r#"
            probed = true
            probe_failures = 3
            probe_error = "status 504"
            lines = [
                "ERROR call to ratings timed out after 500 ms",
                "ERROR call to ratings timed out after 500 ms",
                "ERROR call to ratings timed out after 500 ms",
            ]
            [[neighbours]]
            name = "ratings"
            detail = "online"
            well = true
        "#,
        says: &["ratings", "slow", "timed out"],
    }],
};

static LATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)tim(?:ed|e) ?-?out|ETIMEDOUT|deadline exceeded|too slow|took too long|slow response|\b504\b")
        .expect("a constant")
});

fn look(scene: &Scene) -> Option<Found> {
    let late: Vec<&Line> = scene
        .matching(&LATE)
        .into_iter()
        .filter(|line| !line.was_handled())
        .collect();
    let deadly = scene.death().filter(|dead| LATE.is_match(&dead.error));
    let newest = late.last().copied();
    let text = newest
        .map(|line| line.text.clone())
        .or_else(|| deadly.map(|dead| dead.error.clone()))?;
    let named = scene
        .neighbours
        .iter()
        .find(|one| mentions(&text, &one.name))
        .map(|one| one.name.clone())
        .or_else(|| {
            let addresses = text::addresses(&text);
            scene
                .reach
                .iter()
                .find(|one| addresses.contains(&(one.host.clone(), one.port)))
                .and_then(|one| one.process.clone())
        })
        .or_else(|| {
            let owner = |port: u16| {
                scene
                    .neighbours
                    .iter()
                    .find(|one| one.ports.contains(&port))
            };
            text::addresses(&text)
                .into_iter()
                .find_map(|(_, port)| owner(port))
                .map(|one| one.name.clone())
        })
        .or_else(|| match &scene.depends_on[..] {
            [only] => Some(only.clone()),
            _ => None,
        })
        .filter(|name| *name != scene.name);
    let address = text::addresses(&text).into_iter().next();
    if named.is_none() && address.is_none() {
        return None;
    }
    let neighbour = named.as_deref().and_then(|name| scene.neighbour(name));
    let busy = neighbour.is_some_and(|one| one.cpu_percent > 80.0);
    let slow_probe = neighbour
        .and_then(|one| one.probe_ms)
        .filter(|ms| *ms > 800);
    let own_words = neighbour.and_then(|one| one.complaint.clone());
    let refused = scene
        .reach
        .iter()
        .any(|one| matches!(one.answer.as_str(), "refused" | "unreachable"));
    let who = named.clone().unwrap_or_else(|| {
        address.map_or_else(|| "it".to_owned(), |(host, port)| format!("{host}:{port}"))
    });
    let also = match (&own_words, slow_probe, busy) {
        (Some((_, words)), ..) => format!(" `{who}` itself says `{words}`."),
        (None, Some(ms), _) => format!(" The probe of `{who}` takes {ms} ms."),
        (None, None, true) => format!(" `{who}` uses a whole core."),
        (None, None, false) => String::new(),
    };
    let mut found = Found::new(format!(
        "`{}` fails because `{who}`, which it calls, answers too late: it is slow, and calls to it time out (timed out; latency).{also} It says `{}`.",
        scene.name,
        quotable(&text),
    ));
    if let Some(line) = newest {
        let weight = match late.len() {
            1 => 0.5,
            2 => 0.65,
            _ => 0.78,
        };
        found = found.line(weight, line);
    }
    if let Some(dead) = deadly {
        found = found.proof(0.6, dead.error_id.clone(), dead.error.clone());
    }
    if let Some((id, words)) = own_words {
        found = found.proof(0.3, id, words);
    }
    found = found
        .proof_if(
            slow_probe.is_some(),
            0.5,
            format!("probe:{who}"),
            format!("its probe takes {} ms", slow_probe.unwrap_or_default()),
        )
        .proof_if(
            busy,
            0.4,
            format!("metric:{who}/cpu"),
            "it uses a whole core",
        )
        .proof_if(
            named.is_some(),
            0.3,
            newest.map_or_else(String::new, |line| line.id.clone()),
            format!("the calls go to {who}"),
        )
        .proof_if(
            !scene.probe_error.is_empty(),
            0.2,
            format!("probe:{}", scene.name),
            scene.probe_error.clone(),
        )
        .against(refused, 0.5, "its calls are refused, not late")
        .against(
            newest.is_some_and(|line| line.age_s > FRESH_S) && scene.is_well(),
            0.7,
            "it has not happened for a while",
        );
    Some(match named {
        Some(name) => found
            .blame(&name)
            .advise("restart", format!("restart `{name}`, not `{}`", scene.name)),
        None => found.person(format!("see why {who} is slow")),
    })
}

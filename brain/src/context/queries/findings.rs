//! Questions with a finding as their answer: what ails it, who blames whom, who holds a port.

use super::*;

pub(super) fn blame(c: &Context, question: Question) -> Answer<Vec<Blame>> {
    let found: Vec<Blame> = c.view.ask(question)?;
    for one in &found {
        c.note(&one.id, format!("{}: {}", one.process, one.text));
    }
    Ok(found)
}

pub(super) fn sick(c: &Context) -> Answer<Option<SickDependency>> {
    c.view.ask(Question::SickDependency)
}

/// What seems to be wrong with a process that lives, as a map with a sentence in it.
pub(super) fn trouble(c: &mut Context) -> Answer<Dynamic> {
    let (failures, down_s, live_error) = probe(c)?;
    let from_event = c.view.scene.event.as_ref().and_then(|symptom| {
        let error = symptom.data["error"].as_str()?;
        Some((error.to_owned(), symptom.data["failures"].as_i64()))
    });
    let (probe_error, failures) = match (from_event, live_error) {
        (Some((error, count)), _) => (error, count.unwrap_or(failures)),
        (None, Some(error)) => (error, failures),
        (None, None) => (String::new(), failures),
    };
    let errors = errors_in(c, Duration::from_secs(20))?;
    let newest = newest_line(c, Duration::from_secs(120))?;
    let sick = sick(c)?;
    let samples = samples(c, Duration::from_secs(12))?;
    let cpu = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let mut parts: Vec<String> = Vec::new();
    if !probe_error.is_empty() {
        let hangs = probe_error.to_lowercase().contains("time");
        parts.push(format!(
            "its health probe failed {failures} times in a row ({probe_error}){}",
            if hangs {
                ": it hangs and does not respond (unresponsive, timed out)"
            } else {
                ""
            }
        ));
        c.note(
            "probe:health",
            format!("probe: {probe_error}, {failures} times"),
        );
    }
    if let Some(sick) = &sick {
        parts.push(format!("its dependency {}", sick.words));
        c.note("probe:dependency", &sick.words);
    }
    if cpu >= 70.0 {
        parts.push(format!(
            "it is busy: CPU at {cpu:.0} % of a core, so something spins or blocks it"
        ));
        c.note("metric:cpu", format!("CPU at {cpu:.0} % of a core"));
    }
    if let Some(error) = errors.first() {
        parts.push(format!("it logs `{}`", error.text));
        if error.kind != "unknown" {
            parts.push(format!("that means: {}", error.words));
        }
        c.note(&error.id, &error.text);
    }
    if let Some((id, text)) = &newest
        && errors.first().is_none_or(|error| error.text != *text)
    {
        parts.push(format!("its last output is `{text}`"));
        c.note(id, text);
    }
    dynamic(&json!({
        "words": parts.join("; "),
        "failures": failures,
        "down_s": down_s,
        "cpu": rounded(cpu),
        "error": errors.first().map(|error| error.text.clone()),
        "kind": errors.first().map(|error| error.kind.clone()),
        "dependency": sick.map(|sick| sick.name),
    }))
}

/// The port a process wants: from its last words, else from its probe.
pub(super) fn wanted_port(c: &Context) -> Answer<Option<i64>> {
    let said = all_deaths(c)?.last().and_then(|death| {
        Regex::new(r":(\d{2,5})\b|port (\d{2,5})\b")
            .expect("a constant")
            .captures(&death.error)
            .and_then(|found| found.get(1).or_else(|| found.get(2)))
            .and_then(|port| port.as_str().parse().ok())
    });
    if said.is_some() {
        return Ok(said);
    }
    c.view.ask(Question::ProbePort)
}

pub(super) fn register_findings(engine: &mut Engine) {
    engine
        .register_fn("trouble", trouble)
        .register_fn("blamed", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            dynamic(&blame(c, Question::Blamed(window(&w)?))?)
        })
        .register_fn("blames", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            dynamic(&blame(c, Question::Blames(window(&w)?))?)
        })
        .register_fn("sick_dependency", |c: &mut Context| -> Answer<Dynamic> {
            let sick = sick(c)?;
            if let Some(sick) = &sick {
                c.note("probe:dependency", &sick.words);
            }
            Ok(match sick {
                Some(sick) => dynamic(&sick)?,
                None => Dynamic::UNIT,
            })
        })
        .register_fn("wanted_port", |c: &mut Context| -> Answer<Dynamic> {
            Ok(wanted_port(c)?.map_or(Dynamic::UNIT, Dynamic::from))
        })
        .register_fn(
            "port_holder",
            |c: &mut Context, port: Dynamic| -> Answer<Dynamic> {
                let Some(number) = port.as_int().ok().and_then(|port| u16::try_from(port).ok())
                else {
                    return Ok(Dynamic::UNIT);
                };
                let holder: Option<(i32, String)> = c.view.ask(Question::PortHolder(number))?;
                let Some((pid, command)) = holder else {
                    return Ok(Dynamic::UNIT);
                };
                let command = knowledge::quotable(&command);
                c.note(
                    format!("port:{number}"),
                    format!("port {number} is in use by pid {pid} ({command})"),
                );
                dynamic(&json!({"pid": pid, "command": command, "port": number}))
            },
        );
}

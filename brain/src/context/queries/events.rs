//! Questions about what happened: events, deaths, restarts.

use super::*;
use crate::incident::Fingerprint;

pub(super) fn count(c: &Context, kinds: &[EventKind], window: Duration) -> Answer<i64> {
    c.view.ask(Question::Count(kinds.to_vec(), window))
}

pub(super) fn all_deaths(c: &Context) -> Answer<Vec<Death>> {
    c.view.ask(Question::Deaths)
}

pub(super) fn note_death(c: &Context, death: &Death) {
    c.note(&death.id, format!("died: {}", death.exit));
    if !death.error.is_empty() {
        c.note(&death.error_id, &death.error);
    }
    if !death.source.is_empty() {
        c.note(&death.id, format!("{} reads {}", death.place, death.source));
    }
    if !death.output.is_empty() {
        c.note(&death.output_id, &death.output);
    }
}

pub(super) fn event_kind(name: &str) -> Answer<EventKind> {
    serde_json::from_value(Value::String(name.to_owned()))
        .map_err(|_| failure(format!("there is no event `{name}`")))
}

pub(super) fn register_events(engine: &mut Engine) {
    engine
        .register_fn("crashes", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::Crash, EventKind::SpawnFailed], window(&w)?)
        })
        .register_fn("restarts", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::Restart], window(&w)?)
        })
        .register_fn("heals", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::HealthRecover], window(&w)?)
        })
        .register_fn(
            "restarts_by",
            |c: &mut Context, reason: &str, w: Dynamic| -> Answer<i64> {
                c.view
                    .ask(Question::RestartsBy(reason.to_owned(), window(&w)?))
            },
        )
        .register_fn(
            "events",
            |c: &mut Context, name: &str, w: Dynamic| -> Answer<Dynamic> {
                let (kind, w) = (event_kind(name)?, window(&w)?);
                let found: Vec<Value> = c.view.ask(Question::Events(kind, w))?;
                if let Some(last) = found.last() {
                    c.note(
                        format!("event:{}", last["id"]),
                        format!("{name} × {}", found.len()),
                    );
                }
                dynamic(&found)
            },
        )
        .register_fn(
            "seen",
            |c: &mut Context, print: &str, w: Dynamic| -> Answer<i64> {
                let w = window(&w)?;
                let oldest =
                    c.view.scene.now - jiff::SignedDuration::try_from(w).unwrap_or_default();
                Ok(all_deaths(c)?
                    .iter()
                    .filter(|death| death.print == print && death.at >= oldest)
                    .count() as i64)
            },
        )
        .register_fn("fingerprint", |c: &mut Context| -> Answer<String> {
            Ok(all_deaths(c)?
                .last()
                .map_or_else(String::new, |death| death.print.clone()))
        })
        .register_fn("illness", |c: &mut Context| -> Answer<String> {
            let found: Option<Fingerprint> = c.view.ask(Question::Illness)?;
            if let Some(found) = &found {
                c.note("illness", &found.readable);
            }
            Ok(found.map_or_else(String::new, |found| found.hash))
        })
        .register_fn("same_death", |c: &mut Context, n: i64| -> Answer<bool> {
            let deaths = all_deaths(c)?;
            let Some(last) = deaths.last() else {
                return Ok(false);
            };
            note_death(c, last);
            Ok(last.same >= n)
        })
        .register_fn("death", |c: &mut Context| -> Answer<Dynamic> {
            let deaths = all_deaths(c)?;
            let Some(last) = deaths.last() else {
                return Ok(Dynamic::UNIT);
            };
            note_death(c, last);
            dynamic(last)
        })
        .register_fn("was_online", |c: &mut Context| -> Answer<bool> {
            Ok(count(c, &[EventKind::Online], Duration::from_secs(3600))? > 0)
        })
        .register_fn(
            "last_action",
            |c: &mut Context, name: &str| -> Answer<Dynamic> {
                let question = Question::LastAction(name.to_owned());
                let found: Option<f64> = c.view.ask(question)?;
                Ok(found.map_or(Dynamic::UNIT, Dynamic::from))
            },
        );
}

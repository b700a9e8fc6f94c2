//! Questions about figures: processor, memory, probes.

use super::*;
use crate::pile::Pile;

/// One of each moment: seconds ago, percent of a core, bytes.
pub(super) fn samples(c: &Context, window: Duration) -> Answer<Vec<(f64, f64, f64)>> {
    c.view.ask(Question::Samples(window))
}

pub(super) fn average(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 {
        return 0.0;
    }
    rounded(values.sum::<f64>() / count as f64)
}

/// True only if every sample is above, and samples fill most of the window.
pub(super) fn all_above(
    samples: &[(f64, f64, f64)],
    window: Duration,
    above: impl Fn(&(f64, f64, f64)) -> bool,
) -> bool {
    let oldest = samples.first().map_or(0.0, |sample| sample.0);
    samples.len() >= 2 && oldest >= window.as_secs_f64() * FILLED && samples.iter().all(above)
}

/// The worst copy's probe: failures in a row, seconds down, why.
pub(super) fn probe(c: &Context) -> Answer<(i64, f64, Option<String>)> {
    c.view.ask(Question::Probe)
}

pub(super) fn attempts(c: &Context, w: &Dynamic) -> Answer<(i64, i64)> {
    c.view.ask(Question::ProbeAttempts(window(w)?))
}

pub(super) fn register_metrics(engine: &mut Engine) {
    engine
        .register_fn("cpu_avg", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            let cpu = average(samples.iter().map(|sample| sample.1));
            c.note("metric:cpu", format!("CPU {cpu} % of a core over {w}"));
            Ok(cpu)
        })
        .register_fn("cpu_max", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            Ok(rounded(
                samples.iter().map(|sample| sample.1).fold(0.0, f64::max),
            ))
        })
        .register_fn(
            "cpu_above",
            |c: &mut Context, percent: Dynamic, w: Dynamic| -> Answer<bool> {
                let percent = percent
                    .as_float()
                    .or_else(|_| percent.as_int().map(|int| int as f64))
                    .map_err(|_| failure("cpu_above takes a number of percent"))?;
                let w = window(&w)?;
                Ok(all_above(&samples(c, w)?, w, |sample| sample.1 > percent))
            },
        )
        .register_fn("rss_avg", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            Ok(average(samples.iter().map(|sample| sample.2)))
        })
        .register_fn(
            "rss_above",
            |c: &mut Context, bytes: i64, w: Dynamic| -> Answer<bool> {
                let w = window(&w)?;
                Ok(all_above(&samples(c, w)?, w, |sample| {
                    sample.2 > bytes as f64
                }))
            },
        )
        .register_fn("rss_growth", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                return Ok(0.0);
            };
            let growth = if first.2 > 0.0 {
                (last.2 - first.2) / first.2
            } else {
                0.0
            };
            c.note(
                "metric:rss",
                format!("memory grew by {:.0} % in {w}", growth * 100.0),
            );
            Ok(growth)
        })
        .register_fn("rss_slope", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            // Bytes a second, by least squares.
            let samples = samples(c, window(&w)?)?;
            let n = samples.len() as f64;
            let (mean_t, mean_v) = samples.iter().fold((0.0, 0.0), |(t, v), sample| {
                (t - sample.0 / n, v + sample.2 / n)
            });
            let (over, under) = samples.iter().fold((0.0, 0.0), |(over, under), sample| {
                let dt = -sample.0 - mean_t;
                (over + dt * (sample.2 - mean_v), under + dt * dt)
            });
            Ok(if under > 0.0 { over / under } else { 0.0 })
        })
        .register_fn(
            "piles_up",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let w = window(&w)?;
                let found: Option<Pile> = c.view.ask(Question::Pile(w))?;
                let Some(found) = found else {
                    return Ok(Dynamic::UNIT);
                };
                let metric = if found.what == "threads" {
                    "threads"
                } else {
                    "tree"
                };
                c.note(format!("metric:{metric}"), found.words());
                dynamic(&found)
            },
        )
        .register_fn("probe_failures", |c: &mut Context| -> Answer<i64> {
            Ok(probe(c)?.0)
        })
        .register_fn("probe_down_for", |c: &mut Context| -> Answer<f64> {
            let (failures, down_s, error) = probe(c)?;
            if failures > 0 {
                let error = error.unwrap_or_default();
                c.note(
                    "probe:health",
                    format!("probe down for {down_s:.0} s: {error}"),
                );
            }
            Ok(down_s)
        })
        .register_fn(
            "probe_success",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let (passed, total) = attempts(c, &w)?;
                Ok(if total == 0 {
                    Dynamic::UNIT
                } else {
                    Dynamic::from(passed as f64 / total as f64)
                })
            },
        )
        .register_fn(
            "latency_p95",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let w = window(&w)?;
                let slow: Option<u64> = c.view.ask(Question::LatencyP95(w))?;
                if let Some(ms) = slow {
                    c.note(
                        "probe:health",
                        format!("95 % of the probes took up to {ms} ms"),
                    );
                }
                Ok(slow.map_or(Dynamic::UNIT, |ms| Dynamic::from(ms as f64)))
            },
        )
        .register_fn(
            "probe_attempts",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let (passed, total) = attempts(c, &w)?;
                if total > 0 {
                    let failed = total - passed;
                    c.note(
                        "probe:health",
                        format!("{failed} of {total} health probes failed"),
                    );
                }
                dynamic(&json!({"passed": passed, "total": total}))
            },
        );
}

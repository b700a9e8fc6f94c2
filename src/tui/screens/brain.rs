//! Screen 3: how well each process is and why, its probes, and what the agent found and did.

mod incidents;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use supervisor::command::view::HealthView;

use crate::output::figures::{NONE, ago};
use crate::output::state;
use crate::output::style::Tone;
use crate::output::text::width;
use crate::tui::app::App;
use crate::tui::data::{Parts, Score};
use crate::tui::paint::{Pieces, Theme, middle, put, put_pieces, put_right, rule};
use crate::tui::table::first_in_sight;
use crate::tui::text::harmless;

/// From this width on, incidents stand beside the scores.
const BESIDE: u16 = 150;

/// Draws the screen.
pub(crate) fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    if let Some(why) = &app.brain.off {
        middle(buf, area, "There is no brain to ask.", why, theme);
        return;
    }
    let shown = app.scores();
    if shown.is_empty() {
        let all = app.brain.scores.as_ref();
        match all {
            None => middle(buf, area, "reading …", "", theme),
            Some(all) if all.is_empty() => middle(
                buf,
                area,
                "No processes yet.",
                "start one in another terminal: mhost start <app>",
                theme,
            ),
            Some(_) => middle(
                buf,
                area,
                "No process has this text.",
                "Esc shows all of them",
                theme,
            ),
        }
        return;
    }
    if area.width >= BESIDE {
        let left = Rect {
            width: area.width * 11 / 20,
            ..area
        };
        let right = Rect {
            x: left.right() + 2,
            width: area.width - left.width - 2,
            ..area
        };
        let rows = u16::try_from(shown.len()).unwrap_or(u16::MAX);
        let table = Rect {
            height: (rows + 1).min(area.height * 3 / 4),
            ..left
        };
        let probes = Rect {
            y: left.y + table.height,
            height: left.height - table.height,
            ..left
        };
        scores(app, &shown, buf, table, theme);
        probed(app, &shown, buf, probes, theme);
        incidents::draw(app, buf, right, theme);
        return;
    }
    let rows = u16::try_from(shown.len()).unwrap_or(u16::MAX);
    let table = Rect {
        height: (rows + 1).min(area.height * 9 / 20).max(3),
        ..area
    };
    let probes = Rect {
        y: area.y + table.height,
        height: 3,
        ..area
    };
    let below = Rect {
        y: probes.bottom(),
        height: area.bottom().saturating_sub(probes.bottom()),
        ..area
    };
    scores(app, &shown, buf, table, theme);
    probed(app, &shown, buf, probes, theme);
    incidents::draw(app, buf, below, theme);
}

/// The score as a picture of so many cells.
fn bar(score: Option<u8>, cells: u16) -> String {
    let cells = usize::from(cells);
    let full = (usize::from(score.unwrap_or(0)) * cells)
        .div_ceil(100)
        .min(cells);
    format!("{}{}", "█".repeat(full), "░".repeat(cells - full))
}

fn tone(score: Option<u8>) -> Tone {
    match score {
        Some(0..40) => Tone::Bad,
        Some(40..80) => Tone::Busy,
        Some(_) => Tone::Good,
        None => Tone::Quiet,
    }
}

fn word(score: Option<u8>) -> &'static str {
    match score {
        Some(0..40) => "ill",
        Some(40..80) => "weak",
        Some(_) => "well",
        None => NONE,
    }
}

/// The table of scores.
fn scores(app: &App, shown: &[&Score], buf: &mut Buffer, area: Rect, theme: Theme) {
    let height = usize::from(area.height.saturating_sub(1));
    let selected = app.score_place(shown);
    let first = first_in_sight(selected, shown.len(), height);
    let rows = &shown[first..shown.len().min(first + height)];
    let name = rows.iter().map(|score| width(&score.name)).max();
    let (cells, most) = if area.width < 100 { (5, 18) } else { (10, 26) };
    let name = u16::try_from(name.unwrap_or(0).clamp(10, most)).unwrap_or(18);
    let mut titles = Pieces::new().and(
        format!("{:<wide$}  ", "NAME", wide = usize::from(name)),
        theme.quiet(),
    );
    let arrow = if app.brain.reverse { "↑" } else { "↓" };
    let score = if app.brain.by_score {
        format!("SCORE{arrow}")
    } else {
        "SCORE".into()
    };
    let health = usize::from(cells + 7);
    titles.push(format!("{:<health$}", "HEALTH"), theme.quiet());
    titles.push(
        format!("{score:<8}"),
        if app.brain.by_score {
            theme.accent()
        } else {
            theme.quiet()
        },
    );
    titles.push(" CRASH  PROBE    MEM    CPU   INCIDENT", theme.quiet());
    put_pieces(buf, (area.x + 2, area.y), area.width - 2, &titles);
    for (place, score) in rows.iter().enumerate() {
        let y = area.y + 1 + u16::try_from(place).unwrap_or(0);
        let is_selected = first + place == selected;
        let style = |style: Style| if is_selected { theme.selected() } else { style };
        if is_selected {
            let bar = " ".repeat(usize::from(area.width));
            put(buf, (area.x, y), area.width, &bar, theme.selected());
            put(buf, (area.x, y), 1, "▸", theme.selected());
        }
        let toned = style(theme.tone(tone(score.score)));
        let mut x = area.x + 2;
        put(buf, (x, y), name, &score.name, style(theme.strong()));
        x += name + 2;
        let health = format!("{} {}", bar(score.score, cells), word(score.score));
        put(buf, (x, y), cells + 5, &health, toned);
        x += cells + 7;
        let points = score
            .score
            .map_or_else(|| NONE.into(), |score| score.to_string());
        put_right(buf, (x, y), 5, &points, toned);
        x += 8;
        let parts: [fn(&Parts) -> f64; 4] =
            [|of| of.crash, |of| of.probe, |of| of.memory, |of| of.cpu];
        for part in parts {
            let taken = score.parts.as_ref().map(part);
            let text = match taken {
                Some(taken) if taken >= 0.05 => format!("-{taken:.0}"),
                Some(_) => "0".into(),
                None => NONE.into(),
            };
            let loud = taken.is_some_and(|taken| taken >= 0.5);
            let part_style = if loud { Style::new() } else { theme.quiet() };
            put_right(buf, (x, y), 6, &text, style(part_style));
            x += 7;
        }
        let incident = match (&score.incident, &score.title) {
            (Some(id), Some(title)) => format!("{id} {title}"),
            (Some(id), None) => id.clone(),
            (None, _) if score.held => "held".into(),
            (None, _) => NONE.into(),
        };
        let loud = score.incident.is_some();
        let incident_style = if loud {
            theme.tone(Tone::Busy)
        } else {
            theme.quiet()
        };
        let room = area.right().saturating_sub(x + 3);
        put(
            buf,
            (x + 2, y),
            room,
            &harmless(&incident),
            style(incident_style),
        );
    }
}

/// The probes of the selected process.
fn probed(app: &App, shown: &[&Score], buf: &mut Buffer, area: Rect, theme: Theme) {
    let Some(score) = shown.get(app.score_place(shown)) else {
        return;
    };
    if area.height < 2 {
        return;
    }
    let title = Pieces::new()
        .and("probes of ", theme.quiet())
        .and(&score.name, theme.strong());
    rule(buf, area, &title, theme);
    let of: Vec<&HealthView> = app
        .brain
        .probes
        .iter()
        .filter(|probe| probe.name.as_str() == score.name && probe.probe != "none")
        .collect();
    if of.is_empty() {
        let text = "none: it counts as well while it runs";
        put(
            buf,
            (area.x + 2, area.y + 1),
            area.width - 2,
            text,
            theme.quiet(),
        );
        return;
    }
    // Those that fail first: there may be no room for all.
    let mut of = of;
    of.sort_by_key(|probe| probe.error.is_none());
    for (place, probe) in of.iter().enumerate() {
        let y = area.y + 1 + u16::try_from(place).unwrap_or(u16::MAX - area.y - 1);
        if y >= area.bottom() {
            break;
        }
        let seen = probe
            .last_check
            .map_or_else(|| "not yet tried".into(), |at| ago(app.now, at));
        let mut line = Pieces::new()
            .and(
                format!("{}:{}  ", probe.name, probe.instance),
                theme.quiet(),
            )
            .and(format!("{}  ", probe.probe), Style::new())
            .and(
                format!("{}  ", probe.status.as_str()),
                theme.tone(state::health_tone(probe.status)),
            );
        if let Some(latency) = probe.latency_ms {
            line.push(format!("{latency}ms  "), Style::new());
        }
        line.push(format!("{seen}  "), theme.quiet());
        if let Some(error) = &probe.error {
            let text = format!("{} ({} in a row)", harmless(error), probe.failures);
            line.push(text, theme.tone(Tone::Bad));
        }
        put_pieces(buf, (area.x + 2, y), area.width - 3, &line);
    }
}

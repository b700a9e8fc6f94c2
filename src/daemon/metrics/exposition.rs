//! The text format of Prometheus, version 0.0.4.
//!
//! Written by hand: the one library for it writes OpenMetrics, which names a counter without
//! its `_total` in the TYPE line. Read as version 0.0.4 such a counter has no type, and
//! `promtool check metrics` complains.

use std::fmt::Write;

/// The content type of what is written here.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a figure means over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It goes up only, and begins at zero with the daemon.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All figures of one moment.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
    /// Head of the present family, until its first figure is written.
    head: Option<String>,
    name: &'static str,
}

impl Exposition {
    /// Begins a family. One without figures is not shown.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.name = name;
        self.head = Some(format!(
            "# HELP {name} {}\n# TYPE {name} {}\n",
            help.replace('\\', "\\\\").replace('\n', "\\n"),
            kind.as_str()
        ));
    }

    /// A figure of the present family.
    pub(crate) fn figure(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    /// A histogram of the present family: how many values lie up to each bound and above the
    /// last one, and their sum.
    pub(crate) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds
                .get(at)
                .map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let mut with_bound = labels.to_vec();
            with_bound.push(("le", &bound));
            self.line("_bucket", &with_bound, total as f64);
        }
        self.line("_sum", labels, sum);
        self.line("_count", labels, total as f64);
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        if let Some(head) = self.head.take() {
            self.text.push_str(&head);
        }
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (at, (key, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(key);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_empty_families_left_out() {
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "Nothing.");
        page.family("b", Kind::Gauge, "Two \\ lines\nof help.");
        page.figure(&[("name", "say \"hi\"\\\n"), ("x", "")], 1.5);
        page.figure(&[], 2.0);
        insta::assert_snapshot!(page.finish(), @r#"
        # HELP b Two \\ lines\nof help.
        # TYPE b gauge
        b{name="say \"hi\"\\\n",x=""} 1.5
        b 2
        "#);
    }

    #[test]
    fn a_histogram_counts_up() {
        let mut page = Exposition::default();
        page.family("h_ms", Kind::Histogram, "Times.");
        page.histogram(&[("p", "http")], &[0.005, 1.0], &[2, 0, 1], 12.5);
        insta::assert_snapshot!(page.finish(), @r#"
        # HELP h_ms Times.
        # TYPE h_ms histogram
        h_ms_bucket{p="http",le="0.005"} 2
        h_ms_bucket{p="http",le="1"} 2
        h_ms_bucket{p="http",le="+Inf"} 3
        h_ms_sum{p="http"} 12.5
        h_ms_count{p="http"} 3
        "#);
    }
}

//! The kinds of lines there are, over all kept lines.
//!
//! Counts of what is in the index come from there; all other lines are read, and go to a miner
//! that knows what the index knows, so that they join the same templates. What is new among
//! them is a template of the answer like any other.

use std::collections::{BTreeMap, HashMap};
use std::io;

use jiff::Timestamp;

use super::{Search, Track};
use crate::ids::ProcessName;
use crate::logs::index::lookup::{Known, Lookup, is_of_kinds, trouble};
use crate::logs::scan::Forward;
use crate::logs::{LogPage, TemplateView, Trend, cursor, line, record};
use crate::templates::{Miner, Settings, TemplateId};

/// Most parts of a trend.
const PARTS: i64 = 24;
const MINUTE_MS: i64 = 60_000;

/// The templates of one process.
#[derive(Default)]
struct Mined {
    miner: Miner,
    found: HashMap<TemplateId, Tally>,
}

/// Lines of one template.
#[derive(Default)]
struct Tally {
    /// As the index has it; a miner may have forgotten it.
    pattern: String,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    minutes: BTreeMap<i64, u64>,
}

impl Tally {
    fn add(&mut self, ts_ms: i64, count: u64) {
        *self.minutes.entry(ts_ms.div_euclid(MINUTE_MS)).or_default() += count;
    }

    fn reach(&mut self, first_ms: i64, last_ms: i64) {
        self.first_ms = Some(self.first_ms.map_or(first_ms, |known| known.min(first_ms)));
        self.last_ms = Some(self.last_ms.map_or(last_ms, |known| known.max(last_ms)));
    }

    fn join(&mut self, other: Tally) {
        for (minute, count) in other.minutes {
            *self.minutes.entry(minute).or_default() += count;
        }
        if let (Some(first), Some(last)) = (other.first_ms, other.last_ms) {
            self.reach(first, last);
        }
    }

    fn count(&self) -> u64 {
        self.minutes.values().sum()
    }
}

/// All that was found, by process.
type Kinds = BTreeMap<ProcessName, Mined>;

impl Search {
    /// The most frequent templates of the selection.
    pub(super) fn templates(&mut self, lookup: Option<&Lookup>) -> io::Result<LogPage> {
        let mut kinds = Kinds::new();
        for track in &self.tracks {
            kinds.entry(track.instance.process.clone()).or_default();
        }
        // Without counts the index still knows the names of templates.
        let counted = self.is_of_kinds();
        let mut lookup = lookup;
        if let Some(index) = lookup
            && let Err(error) = self.indexed_templates(index, &mut kinds)
        {
            trouble(&self.folder, &error);
            lookup = None;
            kinds
                .values_mut()
                .for_each(|mined| *mined = Mined::default());
        }
        for track in &mut self.tracks {
            let known = lookup.filter(|_| counted);
            let known = known.and_then(|lookup| track.indexed(lookup));
            let low = track.low.max(known.map_or(0, |known| known.done));
            if let Some(mined) = kinds.get_mut(&track.instance.process) {
                track.mine(low, &self.filter, mined)?;
            }
        }
        let places: Vec<_> = self
            .tracks
            .iter()
            .map(|track| track.place(track.visible))
            .collect();
        let axis = Axis::over(&kinds, self.since_ms, self.until_ms);
        let mut templates: Vec<TemplateView> = kinds
            .into_iter()
            .flat_map(|(process, mined)| mined.views(&process, &axis))
            .collect();
        templates.sort_by(|a, b| {
            let order = b.count.cmp(&a.count).then(a.first.cmp(&b.first));
            order.then_with(|| (&a.process, &a.id).cmp(&(&b.process, &b.id)))
        });
        templates.truncate(self.lines);
        Ok(LogPage {
            lines: Vec::new(),
            next: cursor::places(self.now_ms, &places),
            cut: false,
            lost: self.lost(None)?,
            counts: None,
            templates: Some(templates),
        })
    }

    /// The index has counts of templates for such a question.
    pub(super) fn is_of_kinds(&self) -> bool {
        let filter = &self.filter;
        filter.search.is_none() && filter.grep.is_none() && filter.exprs.iter().all(is_of_kinds)
    }

    fn indexed_templates(&self, lookup: &Lookup, kinds: &mut Kinds) -> Result<(), rusqlite::Error> {
        let known = lookup.templates()?;
        let mut learned: HashMap<&str, Vec<&Known>> = HashMap::new();
        for (_, known) in &known {
            learned.entry(&known.process).or_default().push(known);
        }
        for (process, mined) in kinds.iter_mut() {
            let learned = learned.remove(process.as_str()).unwrap_or_default();
            let templates = learned.iter().map(|known| known.template.clone());
            mined.miner = Miner::restore(Settings::default(), templates);
        }
        let ask = self.ask(lookup);
        if ask.streams.is_empty() || !self.is_of_kinds() {
            return Ok(());
        }
        lookup.template_counts(&ask, &known, |minute| {
            let Some((_, known)) = known.get(minute.known) else {
                return;
            };
            let mined = kinds
                .iter_mut()
                .find(|(name, _)| name.as_str() == known.process);
            if let Some((_, mined)) = mined {
                let tally = mined.found.entry(known.template.id).or_default();
                tally.add(minute.ts_ms, minute.count);
                if tally.first_ms.is_none() {
                    tally.pattern.clone_from(&known.template.pattern);
                    tally.reach(known.first_ms, known.last_ms);
                }
            }
        })
    }
}

impl Track {
    /// Puts the lines from `low` on to the templates.
    fn mine(
        &mut self,
        low: u64,
        filter: &crate::logs::filter::Filter,
        mined: &mut Mined,
    ) -> io::Result<()> {
        let low = self.reader.reach(low)?;
        let mut forward = Forward::new(low, self.high.max(low));
        let sieve = filter.of(&self.instance, self.stream);
        let sieve = (!filter.is_empty()).then_some(sieve);
        while let Some(line) = forward.next(&mut self.reader, sieve.as_ref())? {
            if self.is_lost(line.span.start) {
                continue;
            }
            let ts_ms = self.reader.record_at(line.span.start)?.ts_ms;
            let text = line::shown(&line.bytes);
            let (id, _) = mined.miner.add(&record::parse(&text).message);
            let tally = mined.found.entry(id).or_default();
            tally.add(ts_ms, 1);
            tally.reach(ts_ms, ts_ms);
        }
        for merge in mined.miner.take_merges() {
            if let Some(from) = mined.found.remove(&merge.from) {
                mined.found.entry(merge.into).or_default().join(from);
            }
        }
        Ok(())
    }
}

impl Mined {
    fn views(self, process: &ProcessName, axis: &Axis) -> Vec<TemplateView> {
        let time = |ms: Option<i64>| {
            Timestamp::from_millisecond(ms.unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let Mined { miner, found } = self;
        let views = found.into_iter().map(|(id, tally)| TemplateView {
            process: process.clone(),
            id: id.to_string(),
            pattern: miner
                .template(id)
                .map_or_else(|| tally.pattern.clone(), |template| template.pattern),
            count: tally.count(),
            first: time(tally.first_ms),
            last: time(tally.last_ms),
            trend: axis.trend(&tally),
        });
        views.collect()
    }
}

/// The time over which trends are shown: the same for all templates of an answer.
struct Axis {
    from_minute: i64,
    /// Minutes of one part.
    every: i64,
    parts: i64,
}

impl Axis {
    fn over(kinds: &Kinds, since_ms: Option<i64>, until_ms: Option<i64>) -> Self {
        let minutes = || {
            let tallies = kinds.values().flat_map(|mined| mined.found.values());
            tallies.flat_map(|tally| tally.minutes.keys().copied())
        };
        let minute = |ms: i64| ms.div_euclid(MINUTE_MS);
        let newest = minutes().max().unwrap_or(0);
        let oldest = minutes().min().unwrap_or(newest);
        // Not before the first line, however long ago `since` is.
        let from = since_ms.map_or(oldest, |ms| minute(ms).max(oldest));
        let to = until_ms
            .map_or(newest, |ms| minute(ms).min(newest))
            .max(from);
        let all = to - from + 1;
        let every = all.div_euclid(PARTS) + i64::from(all.rem_euclid(PARTS) > 0);
        Self {
            from_minute: from,
            every,
            parts: all.div_euclid(every) + i64::from(all.rem_euclid(every) > 0),
        }
    }

    fn trend(&self, tally: &Tally) -> Trend {
        let mut counts = vec![0; usize::try_from(self.parts).unwrap_or(0)];
        for (minute, count) in &tally.minutes {
            let part = (minute - self.from_minute).div_euclid(self.every);
            if let Some(place) = usize::try_from(part).ok().and_then(|at| counts.get_mut(at)) {
                *place += count;
            }
        }
        let from = self.from_minute.saturating_mul(MINUTE_MS);
        Trend {
            from: Timestamp::from_millisecond(from).unwrap_or(Timestamp::UNIX_EPOCH),
            every_ms: self.every.saturating_mul(MINUTE_MS).unsigned_abs(),
            counts,
        }
    }
}

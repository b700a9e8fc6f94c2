//! Puts the figures of one moment together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use supervisor::command::view::{MetricsView, ProcessView};
use supervisor::logs::IndexView;
use supervisor::metrics::{BUCKETS_MS, ProbeCounts, probe_counts};
use supervisor::store::StoreHandle;
use supervisor::{
    Bus, Caller, Clock, Command, InstanceId, RegistryHandle, Reply, Status, Tasks, until,
};

use super::exposition::{Exposition, Kind};
use super::restarts::Restarts;

/// States, as the label `status` names them.
const STATES: [(Status, &str); 5] = [
    (Status::Stopped, "stopped"),
    (Status::Starting, "starting"),
    (Status::Online, "online"),
    (Status::Stopping, "stopping"),
    (Status::Errored, "errored"),
];

/// A part that has figures of its own.
#[async_trait]
pub(crate) trait Contributor: Send + Sync {
    /// Writes its families.
    async fn contribute(&self, page: &mut Exposition);
}

/// Knows who has figures.
pub(crate) struct Collector {
    registry: RegistryHandle,
    restarts: Restarts,
    clock: Clock,
    started: jiff::Timestamp,
    contributors: RwLock<Vec<Arc<dyn Contributor>>>,
}

impl Collector {
    /// Begins to count.
    pub(crate) fn start(
        registry: RegistryHandle,
        bus: &Bus,
        store: &StoreHandle,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            registry,
            restarts: Restarts::start(bus, store, tasks),
            clock: clock.clone(),
            started: clock.now(),
            contributors: RwLock::default(),
        })
    }

    /// Adds a part.
    pub(crate) fn add(&self, contributor: Arc<dyn Contributor>) {
        let mut all = self
            .contributors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(contributor);
    }

    /// All figures, as text. `with_ms` adds the durations of probes in milliseconds, under a
    /// name that `promtool check metrics` objects to.
    pub(crate) async fn page(&self, with_ms: bool) -> String {
        let mut page = Exposition::default();
        self.daemon(&mut page);
        if let Ok(Reply::Processes(processes)) = self
            .registry
            .call(&Caller::system(), Command::List { tag: None })
            .await
        {
            states(&processes, &mut page);
            self.restarts(&processes, &mut page);
            probes(&processes, with_ms, &mut page);
        }
        if let Ok(Reply::Metrics(samples)) = self
            .registry
            .call(&Caller::system(), Command::Metrics { target: None })
            .await
        {
            usage(&samples, &mut page);
        }
        if let Ok(Reply::Index(index)) = self
            .registry
            .call(&Caller::system(), Command::LogIndex)
            .await
        {
            log_index(&index, &mut page);
        }
        let contributors = self
            .contributors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for contributor in contributors {
            contributor.contribute(&mut page).await;
        }
        page.finish()
    }

    fn daemon(&self, page: &mut Exposition) {
        page.family("mhost_build_info", Kind::Gauge, "The version that runs.");
        page.figure(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        page.family(
            "mhost_daemon_uptime_seconds",
            Kind::Gauge,
            "Time since the daemon started.",
        );
        let uptime = until(self.started, self.clock.now());
        page.figure(&[], uptime.as_secs_f64());
    }

    fn restarts(&self, processes: &[ProcessView], page: &mut Exposition) {
        page.family(
            "mhost_process_restarts_total",
            Kind::Counter,
            "Restarts by their reason, since the daemon started.",
        );
        let mut counts = self.restarts.counts();
        let mut shown: BTreeMap<_, u64> = BTreeMap::new();
        for (name, instance) in instances(processes) {
            // There from the beginning, so that the first crash is an increase.
            shown.insert((name, instance, "crash".to_owned()), 0);
        }
        counts.retain(|(name, instance, _), _| {
            shown.contains_key(&(name.clone(), *instance, "crash".to_owned()))
        });
        shown.extend(counts);
        for ((name, instance, reason), count) in shown {
            let labels = [
                ("name", name.as_str()),
                ("instance", &instance.to_string()),
                ("reason", &reason),
            ];
            page.figure(&labels, count as f64);
        }
    }
}

fn instances(processes: &[ProcessView]) -> impl Iterator<Item = (supervisor::ProcessName, u16)> {
    processes.iter().flat_map(|process| {
        let of = |instance: &supervisor::command::view::InstanceView| {
            (process.name.clone(), instance.index)
        };
        process.instances.iter().map(of)
    })
}

/// What processes use. A family has those of which the figure is known.
fn usage(samples: &[MetricsView], page: &mut Exposition) {
    type Get = fn(&MetricsView) -> Option<f64>;
    let families: [(&'static str, Kind, &str, Get); 8] = [
        (
            "mhost_process_cpu_percent",
            Kind::Gauge,
            "CPU of the process and its children, in percent of one core.",
            |sample| sample.cpu_percent,
        ),
        (
            "mhost_process_memory_bytes",
            Kind::Gauge,
            "Resident memory of the process and its children.",
            |sample| Some(sample.memory_bytes? as f64),
        ),
        (
            "mhost_process_pss_bytes",
            Kind::Gauge,
            "The same with shared pages divided among all that share them, where that is cheap.",
            |sample| Some(sample.pss_bytes? as f64),
        ),
        (
            "mhost_process_open_fds",
            Kind::Gauge,
            "Open descriptors of the process, without its children.",
            |sample| Some(sample.fds? as f64),
        ),
        (
            "mhost_process_threads",
            Kind::Gauge,
            "Threads of the process and its children.",
            |sample| Some(sample.threads? as f64),
        ),
        (
            "mhost_process_read_bytes_total",
            Kind::Counter,
            "Bytes that the present run and its children have read from storage.",
            |sample| Some(sample.read_bytes? as f64),
        ),
        (
            "mhost_process_written_bytes_total",
            Kind::Counter,
            "Bytes that the present run and its children have written to storage.",
            |sample| Some(sample.written_bytes? as f64),
        ),
        (
            "mhost_process_uptime_seconds",
            Kind::Gauge,
            "Time since the present run started.",
            |sample| Some(sample.uptime_ms? as f64 / 1_000.0),
        ),
    ];
    for (name, kind, help, get) in families {
        page.family(name, kind, help);
        for sample in samples {
            if let Some(value) = get(sample) {
                let index = sample.instance.to_string();
                let labels = [("name", sample.name.as_str()), ("instance", &index)];
                page.figure(&labels, value);
            }
        }
    }
}

fn states(processes: &[ProcessView], page: &mut Exposition) {
    page.family(
        "mhost_process_status",
        Kind::Gauge,
        "1 for the present state of the process, 0 for all others.",
    );
    for process in processes {
        for instance in &process.instances {
            let index = instance.index.to_string();
            for (state, word) in STATES {
                let labels = [
                    ("name", process.name.as_str()),
                    ("instance", &index),
                    ("status", word),
                ];
                page.figure(&labels, f64::from(u8::from(instance.state == state)));
            }
        }
    }
}

fn log_index(index: &IndexView, page: &mut Exposition) {
    let gauges = [
        (
            "mhost_log_index_lag_seconds",
            "Age of the oldest line that is not in the index of logs yet.",
            index.lag_ms as f64 / 1_000.0,
        ),
        (
            "mhost_log_index_behind_bytes",
            "Output that is not in the index of logs yet.",
            index.behind_bytes as f64,
        ),
        (
            "mhost_log_index_size_bytes",
            "Size of the index of logs.",
            index.size_bytes as f64,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help);
        page.figure(&[], value);
    }
}

fn probes(processes: &[ProcessView], with_ms: bool, page: &mut Exposition) {
    let present: BTreeSet<InstanceId> = instances(processes)
        .map(|(name, index)| InstanceId::new(name, index))
        .collect();
    let counts = probe_counts(&present);
    durations(
        "mhost_health_probe_duration_seconds",
        "How long attempts of health probes took.",
        1_000.0,
        &counts,
        page,
    );
    if with_ms {
        durations(
            "mhost_health_probe_duration_ms",
            "How long attempts of health probes took, in milliseconds.",
            1.0,
            &counts,
            page,
        );
    }
    let mut results: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for (instance, probe, counts) in &counts {
        for (result, count) in [("pass", counts.passed), ("fail", counts.failed)] {
            *results
                .entry((instance.process.as_str(), *probe, result))
                .or_default() += count;
        }
    }
    page.family(
        "mhost_health_probe_total",
        Kind::Counter,
        "Attempts of health probes by their result.",
    );
    for ((name, probe, result), count) in results {
        let labels = [("name", name), ("probe", probe), ("result", result)];
        page.figure(&labels, count as f64);
    }
}

fn durations(
    name: &'static str,
    help: &str,
    unit_ms: f64,
    counts: &[(InstanceId, &'static str, ProbeCounts)],
    page: &mut Exposition,
) {
    page.family(name, Kind::Histogram, help);
    let bounds = BUCKETS_MS.map(|bound| f64::from(bound) / unit_ms);
    for (instance, probe, counts) in counts {
        let index = instance.index.to_string();
        let labels = [
            ("name", instance.process.as_str()),
            ("instance", &index),
            ("probe", *probe),
        ];
        let sum = counts.sum_ms / unit_ms;
        page.histogram(&labels, &bounds, &counts.by_duration, sum);
    }
}

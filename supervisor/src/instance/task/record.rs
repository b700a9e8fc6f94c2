//! What is written down, and in which order it becomes known.
//!
//! A state and its events are one transaction, and events are published after it, once the
//! snapshot shows the state, too: who hears of a stop and looks finds it stopped. The last
//! lines of a crashed run are part of its event; where the next run does not wait for
//! anything, neither does it wait for them: they are added to the event, and the event is
//! published, when the next run has begun.

use serde_json::{Value, json};
use tracing::error;

use super::InstanceTask;
use super::runs::{self, Attached};
use crate::event::{Event, EventKind, NewEvent};
use crate::ids::{Generation, InstanceId};
use crate::instance::{Context, Standing};
use crate::secret::masked;
use crate::state::{Run, State};
use crate::store::Batch;

/// Events that were recorded and wait for the last lines of their run.
pub(super) struct Untold {
    generation: Generation,
    events: Vec<Event>,
}

impl InstanceTask {
    /// Writes these events beside a state that stays, then publishes them.
    pub(super) async fn record(&mut self, events: Vec<(EventKind, Value)>, actor: &str) {
        self.write_down(events, actor).await;
        self.tell();
    }

    /// Publishes what was written down.
    pub(super) fn tell(&mut self) {
        for event in self.recorded.drain(..) {
            self.context.bus.publish(event);
        }
    }

    /// Writes the state and these events in one transaction; [`Self::tell`] publishes them.
    /// When the journal cannot write, supervision goes on from memory.
    pub(super) async fn write_down(&mut self, events: Vec<(EventKind, Value)>, actor: &str) {
        let mut told = Vec::new();
        let mut amended = Vec::new();
        if let Some(Untold { generation, events }) = self.untold.take() {
            told = events;
            for event in &mut told {
                if event.kind == EventKind::Crash {
                    event.data["last_lines"] = self.last_words(generation).await;
                    amended.push(event.clone());
                }
            }
        }
        let mut rows = self.rows(events, actor);
        for row in &mut rows {
            if row.kind == EventKind::Crash {
                let generation = self.saved.counters.generation;
                row.data["last_lines"] = self.last_words(generation).await;
            }
        }
        let batch = self.batch(rows, amended);
        told.extend(write(&self.context, &self.id, batch).await);
        self.recorded.extend(told);
    }

    /// Writes the end of a run and the intention to start the next one in one transaction,
    /// while the capture passes from the one to the other. The events are published with
    /// those of the next run.
    pub(super) async fn write_turnover(
        &mut self,
        ended: &Run,
        events: Vec<(EventKind, Value)>,
        actor: &str,
    ) {
        let State::Spawning { generation, .. } = self.saved.state else {
            return self.write_down(events, actor).await;
        };
        // In this order: all that the old run printed comes before what the new one prints.
        self.context.capture.finish(&self.id, ended.generation);
        let outputs = self.new_outputs(generation);
        let batch = self.batch(self.rows(events, actor), Vec::new());
        let (events, error) = tokio::join!(
            write(&self.context, &self.id, batch),
            runs::attach(&self.context, &self.id, generation, outputs)
        );
        self.attached = Some(Attached { generation, error });
        self.untold = Some(Untold {
            generation: ended.generation,
            events,
        });
    }

    /// What a run said last, without secrets.
    async fn last_words(&mut self, generation: Generation) -> Value {
        let (context, id) = (&self.context, &self.id);
        let lines = context.capture.last_words(id, generation).await;
        let secrets = self.spec.secrets();
        let lines = lines.into_iter().map(|line| masked(line, &secrets));
        json!(lines.collect::<Vec<_>>())
    }

    fn rows(&self, events: Vec<(EventKind, Value)>, actor: &str) -> Vec<NewEvent> {
        let at = self.context.clock.now();
        let row = |(kind, data)| NewEvent {
            at,
            process: self.id.process.clone(),
            instance: Some(self.id.index),
            kind,
            data,
            actor: actor.to_owned(),
        };
        events.into_iter().map(row).collect()
    }

    /// The state, new events, and old ones of which more is known now.
    fn batch(&self, events: Vec<NewEvent>, amended: Vec<Event>) -> Batch {
        Batch {
            instances: match self.standing {
                Standing::Owner => vec![(self.id.clone(), self.saved.clone())],
                Standing::Shadow | Standing::Retired => Vec::new(),
            },
            events,
            amended,
            ..Batch::default()
        }
    }
}

/// Commits, and gives the events as they are recorded.
async fn write(context: &Context, id: &InstanceId, batch: Batch) -> Vec<Event> {
    let rows = batch.events.clone();
    match context.journal.commit(batch).await {
        Ok(events) => events,
        Err(error) => {
            error!(process = %id.process, instance = id.index, %error, "A state change could not be recorded.");
            rows.into_iter().map(|row| row.with_id(0)).collect()
        }
    }
}

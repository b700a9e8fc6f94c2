//! What the thread is told to do: attach a run, take the rest of one, remove, flush, seal.
//!
//! The same worker as its parent, which has the table of streams and moves their bytes; here
//! is what comes through the queue.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::event::epoll;

use super::{NEWS, Run, Worker};
use crate::ids::{Generation, InstanceId};
use crate::logs::ingest::Command;
use crate::logs::mend::Plan;
use crate::logs::names::Names;
use crate::logs::segment::Writer;
use crate::logs::stream::{Capture, Key, Moved, Target};
use crate::paths::Stream;

impl Worker {
    /// Does what was asked. False when the thread is to end.
    pub(super) fn commands(&mut self, now_ms: i64) -> bool {
        let mut count = [0; 8];
        // It only resets the counter; what is to be done stands in the queue.
        let _ = rustix::io::read(self.shared.wake(), &mut count);
        for command in self.shared.take_commands() {
            match command {
                Command::Attach {
                    instance,
                    generation,
                    stream,
                    fifo,
                    done,
                } => {
                    let result = self.attach((instance, stream), generation, fifo, now_ms);
                    let _ = done.send(result);
                }
                Command::Drained {
                    instance,
                    generation,
                    done,
                } => {
                    let run = (instance, generation);
                    self.finish_run(&run, now_ms);
                    let waiting = self.waiters.entry(run.clone()).or_default();
                    waiting.retain(|other| !other.is_closed());
                    waiting.push(done);
                    self.answer_waiters(&run);
                }
                Command::Remove { instance, done } => {
                    let _ = done.send(self.remove(&instance));
                }
                Command::Flush { instance, done } => {
                    let _ = done.send(self.flush(&instance, now_ms));
                }
                Command::Seal { instance, stream } => {
                    if let Err(error) = self.seal(&(instance, stream), now_ms) {
                        tracing::debug!(%error, "An old log was not sealed.");
                    }
                }
                Command::Mend(plan) => {
                    if let Err(error) = self.mend(&plan, now_ms) {
                        let stream = plan.names().stem();
                        tracing::warn!(stream, %error, "The times of a log could not be made anew.");
                    }
                }
                Command::Stop { drain } => {
                    if drain {
                        self.drain_all(now_ms);
                    }
                    return false;
                }
            }
        }
        true
    }

    fn attach(
        &mut self,
        key: Key,
        generation: Generation,
        path: PathBuf,
        now_ms: i64,
    ) -> io::Result<()> {
        let known = self
            .captures
            .values()
            .any(|capture| capture.key == key && capture.generation == generation);
        if known {
            return Ok(());
        }
        let capture = Capture::open(path, key.clone(), generation)?;
        if !self.targets.contains_key(&key) {
            let names = Names::new(&self.folder, &key.0, key.1);
            let opened = self.limits.check();
            let opened = opened.and_then(|()| Writer::open_existing(names.clone(), now_ms));
            let writer = match opened {
                // Files for those who print something: most of a crowd of programs do not.
                Ok(None) => Writer::pending(names),
                Ok(Some((writer, seq))) => {
                    self.sequence.0 = self.sequence.0.max(seq);
                    writer
                }
                Err(error) => {
                    let stream = names.stem();
                    tracing::warn!(stream, %error, "A log segment could not be opened.");
                    Writer::pending(names)
                }
            };
            let target = Target::new(writer, self.shared.counter(&key.0), self.now);
            self.targets.insert(key.clone(), Box::new(target));
        }
        let token = self.next_token;
        self.next_token += 1;
        self.listen(&capture, token)?;
        if let Some(target) = self.targets.get_mut(&key) {
            target.captures += 1;
            let started = target.writer.start_run(
                now_ms,
                generation as u32,
                &mut self.sequence,
                &self.limits,
            );
            if let Err(error) = started {
                // The first bytes begin the run then.
                tracing::debug!(%error, "The start of a run was not noted.");
            }
        }
        self.busy = true;
        *self.runs.entry((key.0.clone(), generation)).or_default() += 1;
        self.captures.insert(token, Box::new(capture));
        Ok(())
    }

    /// Has the kernel tell of what comes.
    fn listen(&mut self, capture: &Capture, token: u64) -> io::Result<()> {
        let epoll = &self.epoll;
        let add = |fd: &OwnedFd, token| -> io::Result<()> {
            let data = epoll::EventData::new_u64(token);
            Ok(epoll::add(epoll, fd, data, epoll::EventFlags::IN)?)
        };
        let Some(spool) = &capture.spool else {
            return add(&capture.fifo, token);
        };
        self.watches
            .add(&capture.path, token, |inotify| add(inotify, NEWS))?;
        if spool.opened {
            // Written while nobody read.
            self.unread.push(token);
        }
        Ok(())
    }

    /// Takes what is left of a run, and ends its streams that nobody has open, also those
    /// that nobody ever opened: epoll does not tell of these.
    fn finish_run(&mut self, run: &Run, now_ms: i64) {
        let tokens: Vec<u64> = self
            .captures
            .iter()
            .filter(|(_, capture)| capture.key.0 == run.0 && capture.generation == run.1)
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            let capture = self.captures.get_mut(&token);
            if let Some(spool) = capture.and_then(|capture| capture.spool.as_mut()) {
                spool.opened = true;
            }
            if matches!(self.empty(token, now_ms), Moved::Ended) {
                self.end(token, now_ms);
            }
        }
    }

    /// Moves until nothing is there; at most a few pipes full, as a grandchild may go on.
    fn empty(&mut self, token: u64, now_ms: i64) -> Moved {
        for _ in 0..64 {
            match self.step(token, now_ms) {
                Moved::Bytes(_) => self.unseen = true,
                other => return other,
            }
        }
        Moved::Nothing
    }

    fn drain_all(&mut self, now_ms: i64) {
        let tokens: Vec<u64> = self.captures.keys().copied().collect();
        for token in tokens {
            if matches!(self.empty(token, now_ms), Moved::Ended)
                && self
                    .captures
                    .get(&token)
                    .is_some_and(|capture| capture.hung_up())
            {
                self.end(token, now_ms);
            }
        }
        self.tick();
    }

    fn remove(&mut self, instance: &InstanceId) -> io::Result<()> {
        let (epoll, watches) = (&self.epoll, &mut self.watches);
        self.captures.retain(|token, capture| {
            let keep = capture.key.0 != *instance;
            if !keep {
                // Closing it takes it off the list in any case.
                let _ = epoll::delete(epoll, &capture.fifo);
                watches.remove(*token);
                capture.delete();
            }
            keep
        });
        self.targets.retain(|key, _| key.0 != *instance);
        self.runs.retain(|run, _| run.0 != *instance);
        self.held = self.targets.values().map(|target| target.held()).sum();
        self.shared.forget(instance);
        self.answer_all_waiters();
        self.report();
        self.unseen = true;
        for stream in Stream::BOTH {
            Names::new(&self.folder, instance, stream).delete()?;
        }
        Ok(())
    }

    fn seal(&mut self, key: &Key, now_ms: i64) -> io::Result<()> {
        self.unseen = true;
        if let Some(target) = self.targets.get_mut(key) {
            if target.backlog.is_some() {
                return Ok(());
            }
            let sequence = &mut self.sequence;
            return target.writer.seal_for_age(now_ms, sequence, &self.limits);
        }
        let names = Names::new(&self.folder, &key.0, key.1);
        if names.log().exists() {
            let mut writer = Writer::open(names, now_ms)?.0;
            writer.seal_for_age(now_ms, &mut self.sequence, &self.limits)?;
        }
        Ok(())
    }

    fn mend(&mut self, plan: &Plan, now_ms: i64) -> io::Result<()> {
        if !plan.write(&mut self.sequence)? {
            return Ok(());
        }
        self.unseen = true;
        let target = plan
            .names()
            .owner()
            .and_then(|key| self.targets.get_mut(&key));
        if let Some(target) = target {
            // What the writer knew was of the index that is lost.
            target.writer = Writer::open(plan.names().clone(), now_ms)?.0;
        }
        tracing::warn!(
            stream = plan.names().stem(),
            "The file with the times of a log was lost; it is made anew from what the lines say."
        );
        Ok(())
    }

    fn flush(&mut self, instance: &InstanceId, now_ms: i64) -> io::Result<()> {
        for stream in Stream::BOTH {
            if let Some(target) = self.targets.get_mut(&(instance.clone(), stream)) {
                target.writer.flush(now_ms, &mut self.sequence)?;
                continue;
            }
            let names = Names::new(&self.folder, instance, stream);
            if names.index().exists() || names.log().exists() {
                Writer::open(names, now_ms)?
                    .0
                    .flush(now_ms, &mut self.sequence)?;
            }
        }
        self.unseen = true;
        Ok(())
    }
}

//! `mhost monit`: the screen that people keep open all day.
//!
//! ```text
//!   keys, size ──┐                        ┌──► view ──► terminal
//!   signals ─────┼──► loop ──► app::update┤
//!   feed ────────┘                        └──► effects, wants ──► feed ──► daemon
//! ```
//!
//! This file is the loop: it carries messages in and effects out, and draws when something
//! changed, at most so often. All decisions are in `app`, which is pure; all drawing in
//! `view`. Nothing here knows a process: the screen asks the daemon like everybody else.

mod app;
mod data;
mod feed;
mod keys;
mod log;
mod overlay;
mod paint;
mod samples;
mod screens;
mod table;
mod terminal;
mod text;
mod view;

#[cfg(test)]
mod testing;

use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use jiff::tz::TimeZone;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use supervisor::{Clock, Paths};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use app::{App, Effect, Message};
use data::Fed;
use feed::Feed;
use keys::Key;
use paint::Theme;
use terminal::Tenure;

/// The clock on the screen moves this often.
const TICK: Duration = Duration::from_secs(1);
/// News are drawn together when they come closer to each other than this.
const FRAME: Duration = Duration::from_millis(40);
/// How long the first frame waits for the processes, so that it is not an empty one.
const FIRST: Duration = Duration::from_millis(40);

/// How the screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody left.
    Left,
    /// A signal ended it: its name.
    By(&'static str),
}

/// Shows the screen until somebody leaves.
///
/// # Errors
/// When the terminal cannot be used.
pub(crate) fn run(paths: &Paths, colour: bool) -> io::Result<Ended> {
    // One thread: the loop and the feed take turns, and neither computes for long.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    terminal::restore_on_panic();
    let ended = runtime.block_on(async { Loop::new(paths, Theme { colour }).await?.run().await });
    // The reader of keys may sit in the terminal still; nobody waits for it.
    runtime.shutdown_background();
    ended
}

/// The loop and what it holds.
struct Loop {
    app: App,
    clock: Clock,
    theme: Theme,
    feed: Feed,
    tenure: Tenure,
    wanted: data::Wants,
}

/// What happened outside.
enum Outside {
    Input(Option<io::Result<Event>>),
    Fed(Option<Fed>),
    Signal(&'static str),
    Suspend,
    Resumed,
    Tick,
    Frame,
}

impl Loop {
    async fn new(paths: &Paths, theme: Theme) -> io::Result<Self> {
        let clock = Clock::system();
        // The daemon is asked first, and answers while the rest is prepared: to find the zone
        // takes milliseconds.
        let feed = Feed::start(paths);
        let zone = tokio::task::spawn_blocking(TimeZone::system).await;
        let size = crossterm::terminal::size()?;
        let app = App::new(clock.now(), zone.unwrap_or(TimeZone::UTC), size);
        Ok(Self {
            app,
            clock,
            theme,
            feed,
            tenure: Tenure::begin()?,
            wanted: data::Wants::default(),
        })
    }

    async fn run(mut self) -> io::Result<Ended> {
        let mut input = EventStream::new();
        let mut terminated = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut suspended = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
        let mut resumed = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let mut tick = Instant::now() + TICK;
        let mut frame = Some(Instant::now() + FIRST);
        let mut waits_for_first = true;
        loop {
            let due = frame.unwrap_or(tick);
            let outside = tokio::select! {
                biased;
                _ = terminated.recv() => Outside::Signal("SIGTERM"),
                _ = hung_up.recv() => Outside::Signal("SIGHUP"),
                _ = interrupted.recv() => Outside::Signal("SIGINT"),
                _ = suspended.recv() => Outside::Suspend,
                _ = resumed.recv() => Outside::Resumed,
                event = input.next() => Outside::Input(event),
                () = sleep_until(due), if frame.is_some() => Outside::Frame,
                () = sleep_until(tick) => Outside::Tick,
                // Last: a flood of news must not hold up anything else.
                fed = self.feed.next() => Outside::Fed(fed),
            };
            let soon = Instant::now() + FRAME;
            match outside {
                Outside::Signal(name) => return Ok(Ended::By(name)),
                // The terminal is gone.
                Outside::Input(None | Some(Err(_))) => {
                    return Ok(Ended::By("the end of the terminal"));
                }
                Outside::Input(Some(Ok(event))) => {
                    if self.input(event)? {
                        return Ok(Ended::Left);
                    }
                    // What a person does is seen at once.
                    frame = Some(Instant::now());
                    waits_for_first = false;
                }
                Outside::Suspend => {
                    self.suspend(Stop::Us)?;
                    frame = Some(Instant::now());
                }
                Outside::Resumed => {
                    self.tenure.take()?;
                    self.resize()?;
                    frame = Some(Instant::now());
                }
                Outside::Fed(None) => return Ok(Ended::Left),
                Outside::Fed(Some(fed)) => {
                    let first = waits_for_first && matches!(fed, Fed::Rows(_) | Fed::Lost(_));
                    self.update(Message::Fed(fed));
                    while let Some(fed) = self.feed.ready() {
                        self.update(Message::Fed(fed));
                    }
                    if first {
                        waits_for_first = false;
                        frame = Some(Instant::now());
                    }
                    frame = frame.or(Some(soon));
                }
                Outside::Tick => {
                    tick = Instant::now() + TICK;
                    self.clock.reanchor();
                    self.update(Message::Tick(self.clock.now()));
                    frame = frame.or(Some(soon));
                }
                Outside::Frame => {
                    frame = None;
                    self.draw()?;
                }
            }
        }
    }

    /// Moves the state by what was typed. True when somebody leaves.
    fn input(&mut self, event: Event) -> io::Result<bool> {
        let message = match event {
            Event::Key(key) => match Key::of(key) {
                Some(key) => Message::Key(key),
                None => return Ok(false),
            },
            Event::Paste(text) => Message::Paste(text),
            Event::Resize(columns, rows) => {
                // It may have been another size in between, and then the screen is not what
                // was drawn last, although the size is.
                self.tenure.forget()?;
                Message::Resize(columns, rows)
            }
            Event::FocusGained | Event::FocusLost | Event::Mouse(_) => return Ok(false),
        };
        // Times in the footer count from now.
        self.app.update(Message::Tick(self.clock.now()));
        let effects = self.app.update(message);
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Redraw => {
                    panic_on_demand();
                    self.tenure.forget()?;
                }
                Effect::Suspend => self.suspend(Stop::Job)?,
                Effect::Ask(ask) => self.feed.ask(ask),
            }
        }
        self.tell_wants();
        Ok(false)
    }

    fn update(&mut self, message: Message) {
        // Only keys have effects.
        let _ = self.app.update(message);
        self.tell_wants();
    }

    fn tell_wants(&mut self) {
        let wants = self.app.wants();
        if wants != self.wanted {
            self.wanted.clone_from(&wants);
            self.feed.want(wants);
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let (app, theme) = (&self.app, self.theme);
        self.tenure
            .draw(|frame| view::draw(app, frame.buffer_mut(), theme))
    }

    /// Gives the terminal back and stops, as the shell expects it; then goes on.
    fn suspend(&mut self, what: Stop) -> io::Result<()> {
        self.tenure.give_back();
        // Caught are SIGTSTP and SIGCONT only: this stops at once, and returns when continued.
        match what {
            Stop::Us => kill_process(getpid(), Signal::STOP)?,
            Stop::Job => kill_current_process_group(Signal::STOP)?,
        }
        self.tenure.take()?;
        self.resize()
    }

    fn resize(&mut self) -> io::Result<()> {
        let (columns, rows) = crossterm::terminal::size()?;
        self.app.update(Message::Resize(columns, rows));
        Ok(())
    }
}

/// A debug build panics where its test wants it to.
fn panic_on_demand() {
    if cfg!(debug_assertions) && std::env::var_os("MHOST_MONIT_PANIC").is_some() {
        panic!("as MHOST_MONIT_PANIC wished");
    }
}

/// Who stops.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// This process, as somebody asked by a signal.
    Us,
    /// The whole job of the shell, as Control-Z does it.
    Job,
}

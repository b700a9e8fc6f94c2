//! The terminal: taken over, and always given back.
//!
//! Raw mode, the alternate screen, no cursor, pasted text marked as such. Whoever holds a
//! [`Tenure`] has the terminal; dropping it gives it back, also while a panic unwinds, and the
//! panic's message is printed only then, where a person can read it.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};

/// Bytes of a frame that go out in one write.
const FRAME: usize = 64 * 1024;

/// Is the terminal ours? Asked by the panic hook, which has nothing else to ask.
static HELD: AtomicBool = AtomicBool::new(false);

/// What frames are drawn on.
pub(crate) type Canvas = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal, while it is ours.
pub(crate) struct Tenure {
    canvas: Canvas,
}

impl Tenure {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// What the system said. Whatever was done is undone.
    pub(crate) fn begin() -> io::Result<Self> {
        let backend = CrosstermBackend::new(BufWriter::with_capacity(FRAME, io::stdout()));
        let canvas = Terminal::new(backend)?;
        let mut tenure = Self { canvas };
        tenure.take()?;
        Ok(tenure)
    }

    /// Takes it over once more, after [`Tenure::give_back`] or after somebody else had it.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        HELD.store(true, Ordering::SeqCst);
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            cursor::Hide
        )?;
        self.forget()
    }

    /// Gives it back; the next [`Tenure::take`] goes on.
    pub(crate) fn give_back(&mut self) {
        restore();
    }

    /// Draws a frame. It reaches the terminal as a whole.
    pub(crate) fn draw(&mut self, paint: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        queue!(self.canvas.backend_mut(), BeginSynchronizedUpdate)?;
        self.canvas.draw(paint)?;
        queue!(self.canvas.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.canvas.backend_mut())
    }

    /// Everything is drawn anew with the next frame.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: it asks the terminal where its cursor is, and the answer would
        // go to the reader of the keys.
        self.canvas.backend_mut().clear_region(ClearType::All)?;
        // Each of the two resets one of the buffers, so that no cell is taken for drawn.
        self.canvas.swap_buffers();
        self.canvas.swap_buffers();
        Ok(())
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is ours. A terminal that is gone cannot be told.
fn restore() {
    if HELD.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            cursor::Show,
            DisableBracketedPaste,
            LeaveAlternateScreen
        );
        let _ = disable_raw_mode();
    }
}

/// From now on a panic gives the terminal back before it prints its message.
pub(crate) fn restore_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        usual(info);
    }));
}

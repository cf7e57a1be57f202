//! The block of lines at the end of the terminal that is redrawn while a run lasts.
//!
//! indicatif decides what is cleared and drawn; this is the terminal it draws on. Between frames
//! the cursor is visible and stands at the start of the line below the block, so a process that
//! is killed leaves a usable terminal. A frame is one write, so nothing flickers.

use std::fmt;
use std::io;
use std::sync::Mutex;

use indicatif::TermLike;

use crate::terminal::{Ui, format, lock};

/// A terminal for [`indicatif::ProgressDrawTarget::term_like`].
pub struct Screen {
    ui: Ui,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes of the frame being drawn.
    frame: String,
    drawing: bool,
    /// indicatif writes each line, then spaces up to the width, and relies on the terminal to
    /// wrap. The spaces are left out and lines are ended, because terminals fold full lines
    /// when they become narrower.
    filler_next: bool,
    /// Columns of each line drawn in this frame.
    drawn: Vec<usize>,
    /// Columns of each line on the screen.
    shown: Vec<usize>,
    /// Width of the terminal at the last frame.
    columns: usize,
}

impl Screen {
    /// A screen on the terminal that stderr is.
    pub fn new(ui: Ui) -> Self {
        Self { ui, state: Mutex::new(State::default()) }
    }

    fn frame(&self, draw: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !state.drawing {
            state.begin(self.ui.size().0);
        }
        draw(&mut state);
        Ok(())
    }
}

impl State {
    /// Puts the cursor on the last line of the block, where indicatif believes it to be.
    fn begin(&mut self, columns: usize) {
        self.drawing = true;
        self.filler_next = false;
        self.drawn.clear();
        // Hidden cursor; no wrapping, for the terminal may be narrower by now than it told.
        self.frame.push_str("\x1b[?25l\x1b[?7l");
        let lines = self.shown.len();
        // Terminals fold the lines that no longer fit after they became narrower.
        let rows: usize = self.shown.iter().map(|line| line.div_ceil(columns).max(1)).sum();
        if lines > 0 {
            // What the user typed meanwhile (`^C`) stands on the line the cursor waits on.
            self.frame.push_str("\r\x1b[2K");
            if columns < self.columns && rows > lines {
                // Line by line: terminals may keep what one sequence clears in their history.
                self.frame.push_str(&"\x1b[1A\x1b[2K".repeat(rows));
                self.down(lines - 1);
            } else {
                self.up(1);
            }
        }
        self.columns = columns;
    }

    fn up(&mut self, n: usize) {
        if n > 0 {
            self.frame.push_str(&format!("\x1b[{n}A"));
        }
    }

    fn down(&mut self, n: usize) {
        if n > 0 {
            self.frame.push_str(&format!("\x1b[{n}B"));
        }
    }

    fn line(&mut self, text: &str) {
        if !self.drawn.is_empty() {
            self.frame.push_str("\r\n");
        }
        self.frame.push_str(text);
        let plain = anstream::adapter::strip_str(text).to_string();
        self.drawn.push(format::width(&plain));
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.ui.size().0).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.ui.size().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.frame(|state| state.up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.frame(|state| state.down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.frame(|state| state.frame.push_str(&"\x1b[C".repeat(n)))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.frame(|state| state.frame.push_str(&"\x1b[D".repeat(n)))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        let text = self.ui.foreign(text);
        self.frame(|state| state.line(&text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // Drops the styles where there are to be no colours.
        let text = self.ui.foreign(text);
        self.frame(|state| {
            if !state.filler_next {
                state.line(&text);
            }
            state.filler_next = !state.filler_next;
        })
    }

    fn clear_line(&self) -> io::Result<()> {
        self.frame(|state| state.frame.push_str("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.drawing {
            state.drawing = false;
            if !state.drawn.is_empty() {
                state.frame.push_str("\r\n");
            }
            state.frame.push_str("\x1b[?7h\x1b[?25h");
            state.shown = std::mem::take(&mut state.drawn);
            let frame = std::mem::take(&mut state.frame);
            self.ui.say_raw(frame.as_bytes());
        }
        Ok(())
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

//! The block of lines at the end of the terminal that is redrawn while a run lasts.
//!
//! indicatif decides what is cleared and drawn; this is the terminal it draws on. Between frames
//! the cursor is visible and stands at the start of the line below the block, so a process that
//! is killed leaves a usable terminal. A frame is one write, which terminals that know synchronized output show at once,
//! so nothing flickers. A process that was stopped (Ctrl-Z) and goes on draws below what the shell has written meanwhile.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::TermLike;
use signal_hook::SigId;
use signal_hook::consts::SIGCONT;

use crate::terminal::{Ui, format, lock};

/// Begins what is shown at once, and ends it (DEC private mode 2026). Terminals that do not know it pay no attention.
const BEGIN_SYNCHRONIZED: &str = "\x1b[?2026h";
const END_SYNCHRONIZED: &str = "\x1b[?2026l";

/// A terminal for [`indicatif::ProgressDrawTarget::term_like`].
pub struct Screen {
    ui: Ui,
    resumption: Resumption,
    state: Mutex<State>,
}

/// Tells whether the process was stopped and goes on: the cursor is where the shell left it.
#[derive(Default)]
struct Resumption {
    is_resumed: Arc<AtomicBool>,
    handler: Option<SigId>,
}

impl Resumption {
    fn watch() -> Self {
        let is_resumed = Arc::new(AtomicBool::new(false));
        // Without it a frame is drawn over some lines of the shell's.
        let handler = signal_hook::flag::register(SIGCONT, is_resumed.clone()).ok();
        Self { is_resumed, handler }
    }

    /// Whether it happened since the last time this was asked.
    fn take(&self) -> bool {
        self.is_resumed.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Resumption {
    fn drop(&mut self) {
        if let Some(handler) = self.handler {
            signal_hook::low_level::unregister(handler);
        }
    }
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
        Self { ui, resumption: Resumption::watch(), state: Mutex::default() }
    }

    fn frame(&self, draw: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !state.drawing {
            state.begin(self.ui.size().0, self.resumption.take());
        }
        draw(&mut state);
        Ok(())
    }
}

impl State {
    /// Puts the cursor on the last line of the block, where indicatif believes it to be. After the process `is_resumed`
    /// there is no block: blank lines take its place.
    fn begin(&mut self, columns: usize, is_resumed: bool) {
        self.drawing = true;
        self.filler_next = false;
        self.drawn.clear();
        self.frame.push_str(BEGIN_SYNCHRONIZED);
        // Hidden cursor; no wrapping, for the terminal may be narrower by now than it told.
        self.frame.push_str("\x1b[?25l\x1b[?7l");
        let lines = self.shown.len();
        // Terminals fold the lines that no longer fit after they became narrower.
        let rows: usize = self.shown.iter().map(|line| line.div_ceil(columns).max(1)).sum();
        if is_resumed && lines > 0 {
            self.frame.push_str(&"\r\n".repeat(lines - 1));
        } else if lines > 0 {
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
            state.frame.push_str(END_SYNCHRONIZED);
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

#[cfg(test)]
mod tests {
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::*;
    use crate::terminal::testing::Capture;
    use crate::terminal::{Colours, Size, Stream, UiEnv};

    /// A block on a screen, what is written, and the flag of its resumption.
    fn block() -> (ProgressBar, Capture, Arc<AtomicBool>) {
        let written = Capture::default();
        let err = Stream::new(Box::new(written.clone()), true, Colours::Drop);
        let out = Stream::new(Box::new(Capture::default()), false, Colours::Drop);
        let size = Size::Given(Arc::new(Mutex::new((20, 10))));
        let ui = Ui::new(out, err, size, &UiEnv::default());
        let resumption = Resumption::default();
        let flag = resumption.is_resumed.clone();
        let screen = Screen { ui, resumption, state: Mutex::default() };
        let target = ProgressDrawTarget::term_like(Box::new(screen));
        let block = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            block.set_style(style);
        }
        (block, written, flag)
    }

    fn rows(text: &str) -> Vec<String> {
        let mut parser = vt100::Parser::new(10, 20, 0);
        parser.process(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
        let rows = parser.screen().rows(0, 20).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    #[test]
    fn what_the_shell_wrote_stays() {
        let (block, written, is_resumed) = block();
        block.set_message("one\ntwo\nthree");
        assert_eq!(rows(&written.text()), ["one", "two", "three"]);
        let shell = "^Z\n[1]+ Stopped\n$ fg\n";
        let before = written.text();
        is_resumed.store(true, Ordering::SeqCst);
        block.set_message("four\nfive");
        let after = written.text()[before.len()..].to_owned();
        let all = [before.as_str(), shell, &after].concat();
        let expected = ["one", "two", "three", "^Z", "[1]+ Stopped", "$ fg", "four", "five"];
        assert_eq!(rows(&all), expected);
        // From then on as ever.
        block.set_message("six");
        let after = written.text()[before.len()..].to_owned();
        let all = [before.as_str(), shell, &after].concat();
        assert_eq!(rows(&all), ["one", "two", "three", "^Z", "[1]+ Stopped", "$ fg", "six"]);
        block.finish_and_clear();
    }

    #[test]
    fn a_frame_is_shown_at_once() {
        let (block, written, _) = block();
        block.set_message("one\ntwo");
        block.set_message("three");
        let text = written.text();
        let count = |what: &str| text.matches(what).count();
        assert!(text.starts_with(BEGIN_SYNCHRONIZED) && text.ends_with(END_SYNCHRONIZED));
        assert_eq!(count(BEGIN_SYNCHRONIZED), count(END_SYNCHRONIZED));
    }
}

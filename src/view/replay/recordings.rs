//! Recorded builds on terminals of several widths, frame by frame: each is one synchronized write, at most one in 100 ms, no
//! line of it reaches the edge, and in the end nothing of them is left, whatever a build writes or is called.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::terminal::{Size, Stream, UiEnv, format};

const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// What the terminal shows before: the block starts at the bottom, where the screen scrolls.
const BEFORE: &str = "$ make something\r\ndone\r\n$ doc2md-docker build\r\n";

/// Every write by itself.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.lock().unwrap().push(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Columns and rows.
type Screen = (u16, u16);

/// A terminal that shows a run, and looks at each frame.
struct Terminal {
    name: String,
    writes: Writes,
    size: Arc<Mutex<Screen>>,
    parser: vt100::Parser,
    /// Frames so far, and when the last of them came.
    frames: (usize, Option<Duration>),
    /// What was written besides frames.
    said: String,
}

fn parser((columns, rows): Screen) -> vt100::Parser {
    let mut parser = vt100::Parser::new(rows, columns, 10_000);
    parser.process("\r\n".repeat(usize::from(rows)).as_bytes());
    parser.process(BEFORE.as_bytes());
    parser
}

/// All rows, those that were scrolled away as well.
fn rows(parser: &mut vt100::Parser) -> Vec<String> {
    let columns = parser.screen().size().1;
    parser.screen_mut().set_scrollback(usize::MAX);
    let mut all = Vec::new();
    for offset in (1..=parser.screen().scrollback()).rev() {
        parser.screen_mut().set_scrollback(offset);
        all.extend(parser.screen().rows(0, columns).next());
    }
    parser.screen_mut().set_scrollback(0);
    all.extend(parser.screen().rows(0, columns));
    let mut all: Vec<String> = all.iter().map(|row| row.trim_end().to_owned()).collect();
    all.truncate(all.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1));
    let first = all.iter().position(|row| !row.is_empty()).unwrap_or(0);
    all.split_off(first)
}

impl Terminal {
    fn new(name: &str, size: Screen) -> (Ui, Self) {
        let writes = Writes::default();
        let shared = Arc::new(Mutex::new(size));
        let err = Stream::new(Box::new(writes.clone()), true, Colours::Keep);
        let out = Stream::new(Box::new(io::sink()), false, Colours::Drop);
        let env = UiEnv { unicode: true, ..UiEnv::default() };
        let ui = Ui::new(out, err, Size::Given(shared.clone()), &env);
        let name = format!("{name} at {size:?}");
        let terminal = Self {
            name,
            writes,
            size: shared,
            parser: parser(size),
            frames: (0, None),
            said: String::new(),
        };
        (ui, terminal)
    }

    /// Looks at what was written `at` this time of the run: at most one frame.
    fn look(&mut self, at: Duration) {
        let writes = std::mem::take(&mut *self.writes.0.lock().unwrap());
        assert!(writes.len() <= 1, "{}: several writes at {at:?}: {writes:#?}", self.name);
        for frame in writes {
            let (count, last) = self.frames;
            assert!(last.is_none_or(|last| last + FRAME <= at), "{}: {last:?} {at:?}", self.name);
            self.frames = (count + 1, Some(at));
            self.frame(&frame);
        }
    }

    fn frame(&mut self, frame: &str) {
        let name = &self.name;
        let inside = frame.strip_prefix(BEGIN).and_then(|it| it.strip_suffix(END));
        let inside = inside.unwrap_or_else(|| panic!("{name}: not synchronized: {frame:?}"));
        assert!(!inside.contains("\x1b[?2026"), "{name}: {frame:?}");
        only_colours_of_any_palette(inside);
        let (columns, height) = *self.size.lock().unwrap();
        let plain = |line: &str| anstream::adapter::strip_str(line).to_string().replace('\r', "");
        let lines: Vec<String> = inside.split("\r\n").map(plain).collect();
        for line in &lines {
            assert!(format::width(line) < usize::from(columns), "{name}: {line:?}");
        }
        assert!(lines.len() < usize::from(height), "{name}: {lines:#?}");
        self.parser.process(frame.as_bytes());
        let screen = self.parser.screen();
        assert!(!screen.hide_cursor() && screen.cursor_position().1 == 0, "{name}: {frame:?}");
        assert!(!screen.alternate_screen(), "{name}: {frame:?}");
    }

    /// The window gets another size. As many terminals do, it folds lines that no longer fit.
    fn resize(&mut self, size: Screen) {
        let lines = rows(&mut self.parser);
        let mut folded = vt100::Parser::new(size.1, size.0, 10_000);
        folded.process("\r\n".repeat(usize::from(size.1)).as_bytes());
        folded.process((lines.join("\r\n") + "\r\n").as_bytes());
        self.parser = folded;
        *self.size.lock().unwrap() = size;
        self.name.push_str(&format!(", then {size:?}"));
    }

    /// What is on the screen in the end is what was there before and what was said: nothing of any frame.
    fn assert_nothing_is_left(mut self) {
        let writes = std::mem::take(&mut *self.writes.0.lock().unwrap());
        for write in writes {
            if write.starts_with(BEGIN) {
                self.frame(&write);
            } else {
                let write = write.replace("\r\n", "\n").replace('\n', "\r\n");
                self.parser.process(write.as_bytes());
                self.said.push_str(&write);
            }
        }
        let size = *self.size.lock().unwrap();
        let mut expected = parser(size);
        expected.process(self.said.as_bytes());
        assert!(self.frames.0 > 1, "{}: {} frames", self.name, self.frames.0);
        assert_eq!(rows(&mut self.parser), rows(&mut expected), "{}", self.name);
    }
}

/// Colours are those that a terminal's palette makes readable on its ground, dark or light: no ground, neither black nor white,
/// none of 256, none by its parts.
fn only_colours_of_any_palette(text: &str) {
    for sequence in text.split("\x1b[").skip(1) {
        let end = sequence.find(|char: char| char.is_ascii_alphabetic()).unwrap();
        if sequence[end..].starts_with('m') {
            for number in sequence[..end].split(';') {
                let is_known = ["", "0", "1", "2", "31", "32", "33", "36"].contains(&number);
                assert!(is_known, "colour {number:?} in {text:?}");
            }
        }
    }
}

/// Plays a run on a terminal that has each of the sizes for the same time.
fn play_on(name: &str, events: &[(Event, Duration)], sizes: &[Screen]) {
    for verbose in [false, true] {
        let (ui, terminal) = Terminal::new(name, sizes[0]);
        let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
        if verbose {
            reporter.tell_all();
        }
        play_with(reporter, terminal, events, sizes);
    }
}

fn play_with(
    mut reporter: Reporter,
    mut terminal: Terminal,
    events: &[(Event, Duration)],
    sizes: &[Screen],
) {
    let end = events.last().unwrap().1;
    let parts = u32::try_from(sizes.len()).unwrap();
    let mut changes = (1..).zip(&sizes[1..]).map(|(part, size)| (end * part / parts, *size));
    let mut change = changes.next();
    let mut next = FRAME;
    for (event, at) in events {
        while next < *at {
            if let Some((_, size)) = change.filter(|(due, _)| *due <= next) {
                terminal.resize(size);
                change = changes.next();
            }
            reporter.tick(next);
            terminal.look(next);
            next += FRAME;
        }
        reporter.handle(event, *at);
        terminal.look(*at);
    }
    let summary = reporter.summary(end);
    reporter.finish(&summary);
    drop(reporter);
    terminal.assert_nothing_is_left();
}

fn recordings() -> Vec<(&'static str, Events)> {
    vec![
        ("success", events(&[("api", "28.5-success")])),
        ("failure", events(&[("api", "28.5-success"), ("worker", "28.5-failure")])),
        ("cancel", interrupted(events(&[("api", "20.10-cancel")]))),
        ("warnings", events(&[("日本語", "28.5-containerd-warnings")])),
        ("twelve", twelve("28.5")),
        (
            "odd",
            of_several("28.5-odd", "a-service-that-fails-and-has-a-name-longer-than-any-column"),
        ),
    ]
}

#[test]
fn frames_are_whole_and_leave_nothing_at_any_width() {
    for (name, events) in recordings() {
        for size in [(40, 24), (80, 24), (200, 50), (40, 7)] {
            play_on(name, &events, &[size]);
        }
    }
}

#[test]
fn a_window_that_changes_its_width_has_nothing_left_either() {
    for (name, events) in recordings() {
        // Rows for all lines, folded: what is folded out of the screen cannot be cleared.
        let rows = if name == "twelve" { 700 } else { 120 };
        play_on(name, &events, &[(40, rows), (80, rows), (200, rows)]);
        // Where emoji that are joined fold, terminals differ.
        if name != "odd" {
            play_on(name, &events, &[(200, rows), (40, rows), (80, rows)]);
            play_on(name, &events, &[(40, rows), (200, rows), (79, rows)]);
        }
    }
}

#[test]
fn nothing_of_a_build_drives_the_terminal() {
    let (_, events) = recordings().pop().unwrap();
    let (ui, terminal) = Terminal::new("odd", (80, 24));
    let mut reporter = Reporter::new(Progress::Tty, ui.clone(), Ci::None).unwrap();
    let summary = replay(&mut reporter, &events);
    if let Some(error) = run_error(&summary) {
        ui.error(&error);
    }
    drop(reporter);
    let text = terminal.writes.0.lock().unwrap().concat();
    for sequence in ["\x1b[2J", "\x1b[?1049h", "\x1b[10A", "\x1b]", "\x1bc", "\x07", "\x08", "\x7f"]
    {
        assert!(!text.contains(sequence), "{sequence:?}");
    }
    let turning = |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(turning));
    for word in ["日本語", "🚀", "שלום", "السلام", "ERROR"] {
        assert!(text.contains(word), "{word}");
    }
}

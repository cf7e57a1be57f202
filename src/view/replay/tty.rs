//! The block of `tty` on a terminal that is read back.

use std::sync::{Arc, Mutex};

use super::*;
use crate::terminal::testing::Capture;
use crate::terminal::{Size, Stream, UiEnv};

/// A terminal that understands what the reporter writes.
struct Terminal {
    written: Capture,
    seen: usize,
    size: Arc<Mutex<(u16, u16)>>,
    parser: vt100::Parser,
}

impl Terminal {
    fn new(columns: u16, rows: u16) -> (Ui, Self) {
        Self::with_colours(columns, rows, Colours::Drop)
    }

    fn with_colours(columns: u16, rows: u16, colours: Colours) -> (Ui, Self) {
        let written = Capture::default();
        let size = Arc::new(Mutex::new((columns, rows)));
        let err = Stream::new(Box::new(written.clone()), true, colours);
        let out = Stream::new(Box::new(Capture::default()), false, Colours::Drop);
        let env = UiEnv { unicode: true, ..UiEnv::default() };
        let ui = Ui::new(out, err, Size::Given(size.clone()), &env);
        let parser = vt100::Parser::new(rows, columns, 1000);
        (ui, Self { written, seen: 0, size, parser })
    }

    /// Catches up with what was written. A line feed on a terminal in its usual mode also
    /// returns.
    fn catch_up(&mut self) -> &vt100::Screen {
        let text = self.written.text();
        let new = text[self.seen..].replace("\r\n", "\n").replace('\n', "\r\n");
        self.parser.process(new.as_bytes());
        self.seen = text.len();
        self.parser.screen()
    }

    fn rows(&mut self) -> Vec<String> {
        let columns = self.size.lock().unwrap().0;
        let rows = self.catch_up().rows(0, columns);
        let mut rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        *self.size.lock().unwrap() = (columns, rows);
        self.parser.screen_mut().set_size(rows, columns);
    }

    /// Nothing wraps, the cursor is visible and waits below the block.
    fn assert_tidy(&mut self) {
        let columns = self.size.lock().unwrap().0;
        let rows = self.rows().len();
        let screen = self.catch_up();
        assert!(!screen.hide_cursor());
        assert_eq!(screen.cursor_position().1, 0);
        assert_eq!(usize::from(screen.cursor_position().0), rows);
        for row in 0..screen.size().0 {
            assert!(!screen.row_wrapped(row), "row {row} of {columns} columns wraps");
        }
    }
}

fn two_targets() -> Events {
    events(&[("api", "28.5-success"), ("worker", "28.5-failure")])
}

/// The screen at `until`, after every frame before it was looked at; then the reporter goes away and
/// must leave nothing.
fn screen_at(
    events: &[(Event, Duration)],
    past: &Past,
    size: (u16, u16),
    until: Duration,
) -> String {
    let (ui, mut terminal) = Terminal::new(size.0, size.1);
    let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
    reporter.expect(past.clone(), Default::default());
    let some: Events = events.iter().filter(|(_, at)| *at <= until).cloned().collect();
    play(&mut reporter, &some, || terminal.assert_tidy());
    reporter.tick(until);
    terminal.assert_tidy();
    let shown = terminal.rows().join("\n");
    drop(reporter);
    assert_eq!(terminal.rows().join("\n"), "", "lines are left behind");
    terminal.assert_tidy();
    shown
}

/// The screen at the end of a run, its error included.
fn screen_after(events: &[(Event, Duration)], size: (u16, u16)) -> String {
    let (ui, mut terminal) = Terminal::new(size.0, size.1);
    let mut reporter = Reporter::new(Progress::Tty, ui.clone(), Ci::None).unwrap();
    let summary = replay(&mut reporter, events);
    if let Some(error) = run_error(&summary) {
        ui.error(&error);
    }
    drop(reporter);
    terminal.rows().join("\n")
}

#[test]
fn every_recorded_run_at_two_sizes() {
    for (name, events) in runs() {
        let end = events.last().unwrap().1;
        for (columns, rows) in [(80, 24), (200, 50)] {
            let size = (columns, rows);
            let times = [0.25, 0.5, 0.75].map(|part| end.mul_f64(part));
            let mut text = String::new();
            for at in times {
                let screen = screen_at(&events, &Past::default(), size, at);
                text.push_str(&format!("--- {:.2} s\n{screen}\n", at.as_secs_f64()));
            }
            // Room for everything, so that the beginning is not scrolled away.
            text.push_str(&format!("--- end\n{}\n", screen_after(&events, (columns, 100))));
            insta::assert_snapshot!(format!("tty-{name}-{columns}x{rows}"), text);
        }
    }
}

#[test]
fn verbose_shows_steps_that_are_over_and_the_last_lines_of_output() {
    let screen = |rows| {
        let (ui, mut terminal) = Terminal::new(60, rows);
        let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
        reporter.tell_all();
        let until = Duration::from_millis(700);
        let some: Events = two_targets().into_iter().filter(|(_, at)| *at <= until).collect();
        play(&mut reporter, &some, || terminal.assert_tidy());
        reporter.tick(until);
        terminal.rows().join("\n")
    };
    insta::assert_snapshot!("tty-verbose", screen(24));
    insta::assert_snapshot!("tty-verbose-few-rows", screen(9));
}

#[test]
fn a_narrow_terminal_shows_what_happens_rather_than_figures() {
    let until = Duration::from_millis(700);
    let screen = screen_at(&two_targets(), &Past::default(), (30, 5), until);
    insta::assert_snapshot!("tty-narrow", screen);
}

/// The recorded run as an earlier build of the same target.
fn as_past(events: &[(Event, Duration)]) -> Past {
    let mut run = RunTrace::default();
    for (event, at) in events {
        run.apply(event, *at);
    }
    Past { builds: vec![(&run).into()] }
}

#[test]
fn the_time_left_is_what_an_earlier_build_like_it_took() {
    for engine in ENGINES {
        // Without the one that fails: what comes after never ran, so nothing is known of it.
        let mut events = twelve(engine);
        events.retain(|(event, _)| match event {
            Event::Status { target, .. }
            | Event::TargetStarted { target }
            | Event::TargetFinished { target, .. } => target != "mail",
            _ => true,
        });
        if let (Event::Planned { targets }, _) = &mut events[0] {
            targets.retain(|target| target.name != "mail");
        }
        let end = events.last().unwrap().1.as_secs_f64();
        for part in [0.3, 0.5, 0.7] {
            let at = Duration::from_secs_f64(end * part);
            let screen = screen_at(&events, &as_past(&events), (80, 24), at);
            let total = screen.lines().last().unwrap();
            let left = total.split_once('~').map(|(_, left)| left.trim_end_matches("s left"));
            let left: f64 = left.unwrap_or_else(|| panic!("{screen}")).parse().unwrap();
            let expected = end - at.as_secs_f64();
            assert!((left - expected).abs() <= 0.8, "{engine}: {left}, not {expected}:\n{screen}");
        }
        let at = Duration::from_secs_f64(end / 2.0);
        insta::assert_snapshot!(
            format!("tty-estimate-{engine}"),
            screen_at(&events, &as_past(&events), (80, 24), at)
        );
    }
}

#[test]
fn it_draws_at_most_ten_times_a_second() {
    let (ui, terminal) = Terminal::new(80, 24);
    let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
    reporter.handle(&Event::Planned { targets: vec![info("api")] }, Duration::ZERO);
    for millis in 0..1000 {
        let event = Event::TargetStarted { target: "api".into() };
        reporter.handle(&event, Duration::from_millis(millis));
        reporter.tick(Duration::from_millis(millis));
    }
    let frames = terminal.written.text().matches("\x1b[?25l").count();
    assert_eq!(frames, 10);
}

#[test]
fn twelve_targets_on_few_rows() {
    let names: Vec<String> = (1..=12).map(|n| format!("service-{n}")).collect();
    // Lines: one each, two more for each that runs, and the total; with 8 rows only the most urgent.
    for (rows, lines) in [(24, 12 + 4 * 2 + 1), (8, 6)] {
        let (ui, mut terminal) = Terminal::new(80, rows);
        let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
        let targets = names.iter().map(|name| info(name)).collect();
        reporter.handle(&Event::Planned { targets }, Duration::ZERO);
        for name in &names[8..] {
            let event = Event::TargetStarted { target: name.clone() };
            reporter.handle(&event, Duration::from_secs(1));
        }
        reporter.tick(Duration::from_secs(2));
        terminal.assert_tidy();
        let shown = terminal.rows();
        assert_eq!(shown.len(), lines, "{shown:#?}");
        let running = shown.iter().filter(|line| line.contains("starting")).count();
        assert_eq!(running, 4, "{shown:#?}");
    }
}

#[test]
fn a_resize_and_wide_characters_leave_it_tidy() {
    let (ui, mut terminal) = Terminal::new(200, 24);
    let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
    let all = events(&[("日本語", "28.5-containerd-warnings")]);
    let half = all.len() / 2;
    play(&mut reporter, &all[..half], || terminal.assert_tidy());
    terminal.resize(40, 10);
    for (event, at) in &all[half..all.len() - 1] {
        reporter.handle(event, *at + Duration::from_millis(150));
    }
    terminal.assert_tidy();
    insta::assert_snapshot!("tty-resized", terminal.rows().join("\n"));
}

#[test]
fn colours_are_only_where_they_are_wanted() {
    for (colours, wanted) in [(Colours::Keep, true), (Colours::Drop, false)] {
        let (ui, mut terminal) = Terminal::with_colours(80, 24, colours);
        let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
        for (event, at) in &two_targets() {
            reporter.handle(event, *at);
            terminal.assert_tidy();
        }
        // The mark of the target that failed is bold and red.
        assert_eq!(terminal.written.text().contains("\x1b[31m✘"), wanted);
        let sgr = terminal
            .written
            .text()
            .split("\x1b[")
            .filter(|part| {
                part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
            })
            .count();
        assert_eq!(sgr > 0, wanted);
    }
}

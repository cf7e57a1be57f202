//! The block of `tty` on a terminal that is read back.

use std::sync::{Arc, Mutex};

use super::*;
use crate::ui::testing::Captured;
use crate::ui::{Size, Stream, UiEnv};

/// A terminal that understands what the reporter writes.
struct Terminal {
    written: Captured,
    seen: usize,
    size: Arc<Mutex<(u16, u16)>>,
    parser: vt100::Parser,
}

impl Terminal {
    fn new(columns: u16, rows: u16) -> (Ui, Self) {
        Self::with_colours(columns, rows, Colours::Drop)
    }

    fn with_colours(columns: u16, rows: u16, colours: Colours) -> (Ui, Self) {
        let written = Captured::default();
        let size = Arc::new(Mutex::new((columns, rows)));
        let err = Stream::new(Box::new(written.clone()), true, colours);
        let out = Stream::new(Box::new(Captured::default()), false, Colours::Drop);
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

fn tty_at(columns: u16, rows: u16, until: Duration) -> String {
    let (ui, mut terminal) = Terminal::new(columns, rows);
    let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
    for (event, at) in two_targets().iter().filter(|(_, at)| *at <= until) {
        reporter.handle(event, *at);
        terminal.assert_tidy();
    }
    reporter.tick(until);
    terminal.assert_tidy();
    let shown = terminal.rows().join("\n");
    drop(reporter);
    assert_eq!(terminal.rows().join("\n"), "", "lines are left behind");
    terminal.assert_tidy();
    shown
}

#[test]
fn tty_while_it_runs() {
    insta::assert_snapshot!(tty_at(80, 24, Duration::from_millis(700)), @r#"
    ⠸ api     [build 4/4] RUN echo compiling && sleep 1 && printf '10%%\r5...  0.7s
    ✘ worker  failed: [4/5] RUN for i in $(seq 1 40); do echo "Collecting...   0.2s
    1/2 targets  0.7s
    "#);
    insta::assert_snapshot!(tty_at(200, 50, Duration::from_millis(700)), @r#"
    ⠸ api     [build 4/4] RUN echo compiling && sleep 1 && printf '10%%\r50%%\r100%%\n' && cat app.txt > out.txt && echo done                                                                          0.7s
    ✘ worker  failed: [4/5] RUN for i in $(seq 1 40); do echo "Collecting package-$i"; done; echo "ERROR: No matching distribution found for fastapii" >&2; exit 3                                     0.2s
    1/2 targets  0.7s
    "#);
    insta::assert_snapshot!(tty_at(30, 5, Duration::from_millis(700)), @r"
    ⠸ api     [build 4/4...  0.7s
    ✘ worker  failed: [4...  0.2s
    1/2 targets  0.7s
    ");
}

#[test]
fn tty_at_the_end() {
    let (ui, mut terminal) = Terminal::new(80, 40);
    let mut reporter = Reporter::new(Progress::Tty, ui.clone(), Ci::None).unwrap();
    let summary = replay(&mut reporter, &two_targets());
    ui.error(&run_error(&summary).unwrap());
    insta::assert_snapshot!(terminal.rows().join("\n"), @r#"
    IMAGE                 CACHED  RUN  TIME      SIZE  ID
    doc2md-api:latest          1    6  1.5s  255.3 MB  0123456789ab
    doc2md-worker:latest       2    2  0.2s         -  failed

    worker [4/5] RUN for i in $(seq 1 40); do echo "Collecting package-$i"; done;...
      | (22 lines left out)
      | ERROR: No matching distribution found for fastapii
      | (3 lines left out)
      | Collecting package-26
      | Collecting package-27
      | Collecting package-28
      | Collecting package-29
      | Collecting package-30
      | Collecting package-31
      | Collecting package-32
      | Collecting package-33
      | Collecting package-34
      | Collecting package-35
      | Collecting package-36
      | Collecting package-37
      | Collecting package-38
      | Collecting package-39
      | Collecting package-40
    error: failed to build worker: process "/bin/sh -c ..." did not complete success
    fully: exit code: 3
    Dockerfile.fail:4
       3 | COPY app.txt ./
       4 | RUN for i in ...
    hint: the step's own output says more
    "#);
}

#[test]
fn tty_draws_at_most_ten_times_a_second() {
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
fn tty_twelve_targets_on_few_rows() {
    let names: Vec<String> = (1..=12).map(|n| format!("service-{n}")).collect();
    for (rows, lines) in [(24, 13), (8, 7)] {
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
fn tty_survives_a_resize_and_wide_characters() {
    let (ui, mut terminal) = Terminal::new(200, 24);
    let mut reporter = Reporter::new(Progress::Tty, ui, Ci::None).unwrap();
    let all = events(&[("日本語", "28.5-containerd-warnings")]);
    let half = all.len() / 2;
    for (event, at) in &all[..half] {
        reporter.handle(event, *at);
    }
    terminal.assert_tidy();
    terminal.resize(40, 10);
    for (event, at) in &all[half..all.len() - 1] {
        reporter.handle(event, *at + Duration::from_millis(150));
    }
    terminal.assert_tidy();
    insta::assert_snapshot!(terminal.rows().join("\n"), @r"
    ⠼ 日本語  exporting to image       0.5s
    0/1 target  0.5s
    ");
}

#[test]
fn tty_has_colours_only_where_they_are_wanted() {
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

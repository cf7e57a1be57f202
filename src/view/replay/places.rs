//! The places of steps in their Dockerfile.

use std::collections::HashMap;

use super::*;
use crate::dockerfile::Outline;
use crate::progress::{Trace, Vertex};
use crate::terminal::{Size, Stream, UiEnv};

fn places() -> HashMap<String, Places> {
    let places = Places::new("Dockerfile.worker", Outline::new(FAILING));
    [("worker".to_owned(), places)].into()
}

/// What a run writes whose places are known from the event `from` on.
fn shown(progress: Progress, columns: u16, from: usize) -> String {
    let written = crate::terminal::testing::Capture::default();
    let err = Stream::new(Box::new(written.clone()), progress == Progress::Tty, Colours::Drop);
    let out = Stream::new(Box::new(std::io::sink()), false, Colours::Drop);
    let size = Size::Given(std::sync::Arc::new(std::sync::Mutex::new((columns, 24))));
    let ui = Ui::new(out, err, size, &UiEnv::default());
    let mut reporter = Reporter::new(progress, ui, Ci::None).unwrap();
    let events = events(&[("worker", "28.5-failure")]);
    for (index, (event, at)) in events.iter().enumerate() {
        if index == from {
            reporter.locate(places());
        }
        // Frames between all events.
        reporter.handle(event, *at + FRAME * u32::try_from(index).unwrap());
    }
    let summary = reporter.summary(Duration::from_secs(9));
    reporter.finish(&summary);
    drop(reporter);
    written.text()
}

const FRAME: Duration = Duration::from_millis(100);

#[test]
fn lines_of_a_log_say_once_where_a_step_stands() {
    // Before targets are known, and once some steps are.
    for from in [0, 1, 2] {
        let log = shown(Progress::Plain, 80, from);
        let run = "worker  [4/5] RUN for i in $(seq 1 40); do echo \"Collecting package-$i\"; done; echo \"ERROR: No matching d...";
        assert!(log.contains(&format!("{run} (Dockerfile.worker:4)  running\n")), "{log}");
        assert!(log.contains(&format!("{run}  FAILED ")), "{log}");
        assert_eq!(log.matches("(Dockerfile.worker:4)").count(), 2, "with the output: {log}");
    }
    let log = shown(Progress::Plain, 80, 1);
    let line = "worker  [3/5] COPY app.txt ./ (Dockerfile.worker:3)  ";
    assert!(log.contains(line), "{log}");
    // Nobody waits for it.
    assert!(!shown(Progress::Plain, 80, usize::MAX).contains("(Dockerfile"));
}

#[test]
fn a_narrow_terminal_shows_the_command_before_its_place() {
    let wide = shown(Progress::Tty, 80, 1);
    assert!(
        wide.contains("failed: [4/5] RUN for i in $(seq 1 40)... (Dockerfile.worker:4)"),
        "{wide}"
    );
    let narrow = shown(Progress::Tty, 40, 1);
    let frames = narrow.split("IMAGE").next().unwrap();
    assert!(frames.contains("[4/5] RUN for i in $(s"), "{frames}");
    assert!(!frames.contains("RUN for i in $(seq 1 40)... (Dockerfile"), "{frames}");
}

/// Both begin with the same lines about certificates; what is installed stands behind them.
#[test]
fn the_installs_of_the_example_are_told_apart_at_40_columns() {
    for source in
        [include_str!("../../../Dockerfile.api"), include_str!("../../../Dockerfile.worker")]
    {
        let runs = crate::dockerfile::instructions(source);
        let installs = runs.iter().filter(|it| {
            it.starts_with("RUN") && (it.contains("uv venv") || it.contains("light.lock"))
        });
        let titles: Vec<String> = installs
            .map(|instruction| {
                let name = format!("[prod 5/9] {instruction}");
                let vertex = Vertex { digest: "a".into(), name, ..Vertex::default() };
                let status = SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() };
                let mut trace = Trace::default();
                trace.update(&status, Duration::ZERO);
                let step = trace.steps().next().unwrap();
                line::placed("", step, 40 - 1 - 4)
            })
            .collect();
        assert_eq!(
            titles,
            ["[prod 5/9] RUN ... uv venv --qui...", "[prod 5/9] RUN ... uv pip instal..."]
        );
    }
}

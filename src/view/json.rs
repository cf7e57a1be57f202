//! `rawjson`: each status on a line of stderr, byte for byte as Go's `encoding/json` writes it
//! for `docker buildx build --progress=rawjson`.

use std::time::Duration;

use crate::progress::{Event, RunTrace, SolveStatus, VertexWarning};
use crate::terminal::Ui;

/// Writes statuses as they come.
pub struct RawJson {
    ui: Ui,
    run: RunTrace,
}

impl RawJson {
    pub(super) fn new(ui: Ui) -> Self {
        Self { ui, run: RunTrace::default() }
    }

    pub(super) fn run(&self) -> &RunTrace {
        &self.run
    }

    pub(super) fn take_run(&mut self) -> RunTrace {
        std::mem::take(&mut self.run)
    }

    pub(super) fn handle(&mut self, event: &Event, at: Duration) {
        self.run.apply(event, at);
        match event {
            // As bake does, the target is told in the names where there are several.
            Event::Status { target, status } if self.run.targets().len() > 1 => {
                let mut status = status.clone();
                for vertex in &mut status.vertexes {
                    vertex.name = prefixed(target, &vertex.name);
                    if let Some(group) = &mut vertex.progress_group {
                        group.name = prefixed(target, &group.name);
                    }
                }
                self.write(&status);
            }
            Event::Status { status, .. } => self.write(status),
            // Every line is a status, so that what reads them is not disturbed; one without a
            // vertex is skipped by those who look for it.
            Event::Warning { message } => self.write(&SolveStatus {
                warnings: vec![VertexWarning {
                    level: 1,
                    short: message.clone().into_bytes(),
                    ..VertexWarning::default()
                }],
                ..SolveStatus::default()
            }),
            _ => {}
        }
    }

    fn write(&self, status: &SolveStatus) {
        // Every field has a JSON form: nothing here can fail to serialise.
        if let Ok(mut line) = encode(status) {
            line.push('\n');
            self.ui.say_raw(line.as_bytes());
        }
    }
}

/// A status as Go's `json.Encoder` writes it: `<`, `>`, `&` and the two line separators of
/// Unicode are escaped. They occur nowhere but inside of strings.
///
/// # Errors
///
/// Those of `serde_json`.
pub fn encode(status: &SolveStatus) -> serde_json::Result<String> {
    let json = serde_json::to_string(status)?;
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            _ => out.push(char),
        }
    }
    Ok(out)
}

fn prefixed(target: &str, name: &str) -> String {
    match name.strip_prefix('[') {
        Some(rest) => format!("[{target} {rest}"),
        None => format!("[{target}] {name}"),
    }
}

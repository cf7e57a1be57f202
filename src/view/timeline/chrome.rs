//! Chrome's trace event format, which Perfetto and `chrome://tracing` open: a process for each
//! target; in it as many threads as steps ran at the same time, because slices of one thread must
//! not overlap. <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>

use serde_json::{Value, json};

use super::{Bar, Fate, Lane, StepIndex, Timeline, critical_path};

/// The schema of what is written.
pub const SCHEMA: &str = "doc2md-docker/trace/v1";

/// The trace as JSON, its times whole microseconds since the start of the build.
pub fn document(timeline: &Timeline) -> Value {
    let critical: Vec<StepIndex> = super::on_path(timeline, &critical_path(timeline));
    let mut events = Vec::new();
    for (index, lane) in timeline.lanes.iter().enumerate() {
        let pid = index + 1;
        events.push(metadata("process_name", pid, 0, json!({"name": lane.name})));
        events.push(metadata("process_sort_index", pid, 0, json!({"sort_index": index})));
        if let Some((start, end)) = lane.span {
            let args = json!({"image": lane.image, "error": lane.error});
            events.push(metadata("thread_name", pid, 0, json!({"name": "build"})));
            events.push(slice(&lane.name, "target", pid, 0, (start, end), None, args));
        }
        let rows = rows(lane);
        for row in 0..rows.iter().map(|(_, row)| row + 1).max().unwrap_or(0) {
            let name = if row == 0 { "steps".to_owned() } else { format!("steps {}", row + 1) };
            events.push(metadata("thread_name", pid, row + 1, json!({"name": name})));
        }
        for (step, row) in rows {
            let bar = &lane.steps[step];
            let args = args(lane, bar, critical.contains(&StepIndex { lane: index, step }));
            for interval in &bar.intervals {
                let title = bar.title();
                let colour = colour(bar.fate);
                events.push(slice(
                    &title,
                    bar.fate.word(),
                    pid,
                    row + 1,
                    *interval,
                    colour,
                    args.clone(),
                ));
            }
        }
    }
    json!({
        "schema": SCHEMA,
        "displayTimeUnit": "ms",
        "otherData": {
            "project": timeline.project,
            "started": timeline.started.to_string(),
            "seconds": timeline.seconds,
        },
        "traceEvents": events,
    })
}

fn args(lane: &Lane, bar: &Bar, critical: bool) -> Value {
    json!({
        "target": lane.name,
        "instruction": bar.name.instruction,
        "digest": bar.digest,
        "cached": bar.fate == Fate::Cached,
        "result": bar.fate.word(),
        "critical": critical,
        "dockerfile": lane.dockerfile,
        "line": bar.line,
        "bytes": bar.bytes,
        "resources": bar.resources,
        "error": bar.error,
        "cause": bar.cause,
    })
}

fn metadata(name: &str, pid: usize, tid: usize, args: Value) -> Value {
    json!({"name": name, "cat": "__metadata", "ph": "M", "ts": 0, "pid": pid, "tid": tid, "args": args})
}

fn slice(
    name: &str,
    category: &str,
    pid: usize,
    tid: usize,
    (start, end): (f64, f64),
    colour: Option<&str>,
    args: Value,
) -> Value {
    let (start, end) = (micros(start), micros(end));
    let mut event = json!({
        "name": name, "cat": category, "ph": "X", "ts": start, "dur": end - start, "pid": pid, "tid": tid,
        "args": args,
    });
    if let Some(colour) = colour {
        event["cname"] = colour.into();
    }
    event
}

/// Both ends are rounded the same way, so that what touches does not overlap.
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).floor() as u64
}

/// Names of the viewer's own colours.
fn colour(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::Ran => None,
        Fate::Cached => Some("grey"),
        Fate::Failed => Some("terrible"),
        Fate::Cancelled | Fate::NotRun => Some("bad"),
    }
}

/// Steps that ran, in the order of time, each with the first row that is free.
fn rows(lane: &Lane) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, (f64, f64))> = lane
        .steps
        .iter()
        .enumerate()
        .filter_map(|(place, step)| Some((place, step.span()?)))
        .collect();
    spans.sort_by(|(_, one), (_, other)| one.0.total_cmp(&other.0));
    let mut ends: Vec<f64> = Vec::new();
    let rows = spans.into_iter().map(|(place, (start, end))| {
        let free = ends.iter().position(|last| *last <= start);
        let row = free.unwrap_or(ends.len());
        match ends.get_mut(row) {
            Some(last) => *last = end,
            None => ends.push(end),
        }
        (place, row)
    });
    rows.collect()
}

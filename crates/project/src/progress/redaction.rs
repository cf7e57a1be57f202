//! The door between the engine and everybody who is told of a build: events go through it, and what is secret stays
//! behind. Reporters, the ledger, timelines, summaries and outputs are all made of what comes out.

use std::collections::{BTreeMap, BTreeSet};

use crate::progress::outcome::{CacheUse, CacheWrite, TargetOutcome};
use crate::progress::{Event, SolveStatus, VertexLog};
use crate::redact::Redactor;

/// Bytes of a line without an end that are held back, as long as lines are shown whole ([`super::lines`]).
const LINE: usize = 16 * 1024;
/// Bytes of all lines that are held back. A line beyond is not shown: half of it could be half of a secret.
const HELD: usize = 64 << 20;

/// Target, vertex and number of the output.
type Output = (String, String, i64);

/// Takes secrets out of events. Output comes in pieces that may end within a secret, so what is not yet a line waits
/// for its end.
#[derive(Debug, Default)]
pub struct Redaction {
    redactor: Redactor,
    begun: BTreeMap<Output, VertexLog>,
    /// Bytes in there.
    held: usize,
    /// Outputs within a line that there was no room for.
    left_out: BTreeSet<Output>,
}

impl Redaction {
    /// Takes out what `redactor` knows.
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, ..Self::default() }
    }

    /// What may be told of `event`: output that waited comes before the end of its step or target.
    pub fn pass(&mut self, mut event: Event) -> impl Iterator<Item = Event> {
        let mut before = None;
        match &mut event {
            Event::Status { target, status } => {
                self.status(target, status);
                let ended = status.vertexes.iter().filter(|vertex| vertex.completed.is_some());
                let ended: BTreeSet<&str> = ended.map(|vertex| vertex.digest.as_str()).collect();
                let waited: Vec<VertexLog> =
                    ended.into_iter().flat_map(|vertex| self.end(target, Some(vertex))).collect();
                if !waited.is_empty() {
                    let logs = std::mem::take(&mut status.logs).into_iter().chain(waited);
                    before = output(target, logs.collect());
                }
            }
            Event::TargetFinished { target, outcome } => {
                before = output(target, self.end(target, None));
                outcome_out(&self.redactor, outcome);
            }
            Event::Warning { message } => *message = self.redactor.text(message),
            Event::Planned { .. } | Event::TargetStarted { .. } | Event::Cancelling { .. } => {}
        }
        before.into_iter().chain([event])
    }

    fn status(&mut self, target: &str, status: &mut SolveStatus) {
        let Self { redactor, begun, held, left_out } = self;
        let text = |text: &mut String| *text = redactor.text(text);
        for vertex in &mut status.vertexes {
            text(&mut vertex.name);
            text(&mut vertex.error);
            if let Some(group) = &mut vertex.progress_group {
                text(&mut group.name);
            }
        }
        for progress in &mut status.statuses {
            text(&mut progress.id);
            text(&mut progress.name);
        }
        for warning in &mut status.warnings {
            for line in std::iter::once(&mut warning.short).chain(&mut warning.detail) {
                *line = redactor.bytes(line);
            }
            text(&mut warning.url);
            if let Some(source) = &mut warning.source_info {
                text(&mut source.filename);
                source.data = redactor.bytes(&source.data);
            }
        }
        for log in &mut status.logs {
            let key = (target.to_owned(), log.vertex.clone(), log.stream);
            let mut data = begun.remove(&key).map_or_else(Vec::new, |log| log.data);
            *held -= data.len();
            data.append(&mut log.data);
            let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
            if left_out.contains(&key) {
                let Some(end) = data.iter().position(is_end) else { continue };
                left_out.remove(&key);
                data.drain(..=end);
            }
            let mut whole = data.iter().rposition(is_end).map_or(0, |end| end + 1);
            if data.len() - whole > LINE + redactor.reach() {
                whole = data.len() - redactor.reach();
            }
            let rest = data.split_off(whole);
            log.data = redactor.bytes(&data);
            if rest.is_empty() {
            } else if *held + rest.len() > HELD {
                left_out.insert(key);
            } else {
                *held += rest.len();
                begun.insert(key, VertexLog { data: rest, ..log.clone() });
            }
        }
        status.logs.retain(|log| !log.data.is_empty());
    }

    /// What waits of `target`, or of one of its vertexes.
    fn end(&mut self, target: &str, vertex: Option<&str>) -> Vec<VertexLog> {
        let first = (target.to_owned(), vertex.unwrap_or_default().to_owned(), i64::MIN);
        let is_meant = |key: &Output| key.0 == target && vertex.is_none_or(|it| it == key.1);
        let begun = self.begun.range(first.clone()..).map(|(key, _)| key);
        let begun: Vec<Output> = begun.take_while(|key| is_meant(key)).cloned().collect();
        let left_out = self.left_out.range(first..).take_while(|key| is_meant(key));
        for key in left_out.cloned().collect::<Vec<_>>() {
            self.left_out.remove(&key);
        }
        let logs = begun.iter().filter_map(|key| self.begun.remove(key));
        let logs: Vec<VertexLog> = logs.collect();
        self.held -= logs.iter().map(|log| log.data.len()).sum::<usize>();
        let out = |log: VertexLog| VertexLog { data: self.redactor.bytes(&log.data), ..log };
        logs.into_iter().map(out).collect()
    }
}

/// `logs` of `target` as an event, if there are any.
fn output(target: &str, logs: Vec<VertexLog>) -> Option<Event> {
    let status = SolveStatus { logs, ..SolveStatus::default() };
    (!status.logs.is_empty()).then(|| Event::Status { target: target.to_owned(), status })
}

/// Takes secrets out of what is told of a target that ended.
pub fn outcome_out(redactor: &Redactor, outcome: &mut TargetOutcome) {
    match outcome {
        TargetOutcome::Built(image) => {
            for value in image.exporter_response.values_mut() {
                *value = redactor.text(value);
            }
            if let Some(CacheUse { written: CacheWrite::Failed(why), .. }) = &mut image.cache {
                *why = redactor.text(why);
            }
        }
        TargetOutcome::Failed(failure) => {
            failure.message = redactor.text(&failure.message);
            for text in [&mut failure.excerpt, &mut failure.hint].into_iter().flatten() {
                *text = redactor.text(text);
            }
            if let Some(place) = &mut failure.place {
                place.file = redactor.text(&place.file);
            }
        }
        TargetOutcome::Cancelled => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::progress::outcome::BuildFailure;
    use crate::progress::{FailureKind, Vertex};
    use crate::redact::Secrets;

    const SECRET: &str = "the-secret-value";

    fn redaction() -> Redaction {
        let mut secrets = Secrets::default();
        secrets.add(SECRET.as_bytes());
        Redaction::new(Redactor::new(&secrets))
    }

    fn written_by_step(data: &[u8]) -> Event {
        let log = VertexLog {
            vertex: "v".into(),
            stream: 1,
            data: data.to_vec(),
            ..VertexLog::default()
        };
        let status = SolveStatus { logs: vec![log], ..SolveStatus::default() };
        Event::Status { target: "t".into(), status }
    }

    fn written(events: &[Event]) -> Vec<u8> {
        let logs = events.iter().filter_map(|event| match event {
            Event::Status { status, .. } => Some(&status.logs),
            _ => None,
        });
        logs.flatten().flat_map(|log| log.data.clone()).collect()
    }

    fn finished(outcome: TargetOutcome) -> Event {
        Event::TargetFinished { target: "t".into(), outcome }
    }

    #[test]
    fn every_text_of_an_event_is_looked_at() {
        let text = format!("x {SECRET} https://u:p@h");
        let vertex = Vertex {
            digest: "v".into(),
            name: text.clone(),
            error: text.clone(),
            completed: Some(Timestamp::UNIX_EPOCH),
            ..Vertex::default()
        };
        let mut event = written_by_step(text.as_bytes());
        if let Event::Status { status, .. } = &mut event {
            status.vertexes.push(vertex);
        }
        let failed = BuildFailure {
            excerpt: Some(text.clone()),
            hint: Some(text.clone()),
            ..BuildFailure::new(FailureKind::Step, &text)
        };
        let events =
            [event, Event::Warning { message: text }, finished(TargetOutcome::Failed(failed))];
        let mut redaction = redaction();
        let passed: Vec<Event> = events
            .into_iter()
            .flat_map(|event| redaction.pass(event).collect::<Vec<_>>())
            .collect();
        let shown = format!("{passed:?}");
        assert!(!shown.contains(SECRET) && !shown.contains("u:p"), "{shown}");
        assert_eq!(written(&passed), b"x *** https://***@h");
        // The last of its output comes before the end of the step.
        let Event::Status { status, .. } = &passed[0] else { panic!("{shown}") };
        assert!(status.vertexes.is_empty() && !status.logs.is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_not_held_for_ever() {
        let mut redaction = redaction();
        let mut told = 0;
        for _ in 0..1000 {
            let events: Vec<Event> = redaction.pass(written_by_step(&[b'x'; 1000])).collect();
            told += written(&events).len();
        }
        assert!(told > 1_000_000 - 2 * LINE, "{told}");
    }

    /// As many lines without an end as an engine likes: nothing of a secret is shown, and lines that end are.
    #[test]
    fn lines_without_an_end_take_no_more_than_there_is_room_for() {
        let mut redaction = redaction();
        let log = |vertex: usize, data: &[u8]| {
            let mut event = written_by_step(data);
            if let Event::Status { status, .. } = &mut event {
                status.logs[0].vertex = vertex.to_string();
            }
            event
        };
        let count = HELD / LINE + 100;
        let begin = [&[b'x'; LINE - 6][..], b"the-se"].concat();
        for vertex in 0..count {
            assert!(written(&redaction.pass(log(vertex, &begin)).collect::<Vec<_>>()).is_empty());
        }
        assert!(redaction.held <= HELD && !redaction.left_out.is_empty());
        let rest: Vec<u8> = (0..count)
            .flat_map(|vertex| {
                let more = log(vertex, b"cret-value\nok\n");
                written(&redaction.pass(more).collect::<Vec<_>>())
            })
            .collect();
        let said = String::from_utf8(rest).unwrap();
        assert!(!said.contains("cret") && said.matches("ok\n").count() == count);
        assert_eq!((redaction.held, redaction.left_out.len()), (0, 0));
    }

    proptest! {
        /// However the engine cuts it, nothing is lost but the secret.
        #[test]
        fn cuts_make_no_difference(
            words in proptest::collection::vec("(the-secret-value|the-secret|\n|\r|[a-z ]{0,9})", 0..20),
            cuts in proptest::collection::vec(1..30_usize, 0..40),
        ) {
            let text = words.concat();
            let mut rest = text.as_bytes();
            let mut redaction = redaction();
            let mut events = Vec::new();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                events.extend(redaction.pass(written_by_step(now)));
                rest = later;
            }
            events.extend(redaction.pass(written_by_step(rest)));
            events.extend(redaction.pass(finished(TargetOutcome::Cancelled)));
            let expected = redaction.redactor.text(&text);
            prop_assert_eq!(String::from_utf8(written(&events)).unwrap(), expected);
        }
    }
}

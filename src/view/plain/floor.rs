//! Whose lines are written now: keeps each target's lines together without keeping readers waiting.
//!
//! One target has the floor and its lines are written at once. Those of others wait until it is
//! over, has nothing to say for a while, or they have waited for too long. Lines only ever change
//! their place between targets; none is lost, and those of one target stay in order.

use std::time::Duration;

use indexmap::IndexMap;

/// Bytes that may wait: beyond, memory counts more than order.
const MOST_BYTES: usize = 1024 * 1024;

/// When the floor passes to the next target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Lines wait this long at most.
    pub(super) patience: Duration,
    /// Who says nothing for this long gives up the floor to those who wait.
    pub(super) silence: Duration,
}

/// Lines of one target to be written now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) target: String,
    pub(super) lines: Vec<String>,
    /// What became of the target, where it is over.
    pub(super) ending: Option<String>,
}

#[derive(Debug, Default)]
struct Contender {
    lines: Vec<String>,
    since: Duration,
    ending: Option<String>,
    failed: bool,
}

/// Decides on the order of lines.
#[derive(Debug)]
pub(super) struct Floor {
    rules: Rules,
    holder: Option<String>,
    /// When the holder last said something.
    heard: Duration,
    waiting: IndexMap<String, Contender>,
    bytes: usize,
    /// Everything is written as it comes.
    hurry: bool,
}

impl Floor {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            holder: None,
            heard: Duration::ZERO,
            waiting: IndexMap::new(),
            bytes: 0,
            hurry: false,
        }
    }

    /// Queues the `lines` that a target says at `at`. Returns what to write now, in order.
    pub(super) fn say(&mut self, target: &str, lines: Vec<String>, at: Duration) -> Vec<Chunk> {
        if lines.is_empty() {
            return Vec::new();
        }
        let holds = self.holder.as_ref().is_none_or(|holder| holder == target);
        if holds || self.hurry {
            self.holder = Some(target.to_owned());
            self.heard = at;
            return vec![Chunk { target: target.to_owned(), lines, ending: None }];
        }
        let waiting = self.wait(target, at);
        self.bytes += lines.iter().map(String::len).sum::<usize>();
        self.waiting[waiting].lines.extend(lines);
        self.tick(at)
    }

    /// A target is over; it says nothing after this.
    pub(super) fn over(
        &mut self,
        target: &str,
        ending: String,
        failed: bool,
        at: Duration,
    ) -> Vec<Chunk> {
        let holds = self.holder.as_deref() == Some(target);
        if holds || self.hurry || (self.holder.is_none() && !failed) {
            self.holder = None;
            let chunk =
                Chunk { target: target.to_owned(), lines: Vec::new(), ending: Some(ending) };
            let mut chunks = vec![chunk];
            chunks.extend(self.pass_on(at));
            return chunks;
        }
        let waiting = self.wait(target, at);
        let waiting = &mut self.waiting[waiting];
        waiting.ending = Some(ending);
        waiting.failed = failed;
        self.tick(at)
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, at: Duration) -> Vec<Chunk> {
        let Some(longest) = self.waiting.values().map(|waiting| waiting.since).min() else {
            return Vec::new();
        };
        let silent = self.heard + self.rules.silence <= at;
        let late = longest + self.rules.patience <= at;
        if silent || late || self.bytes > MOST_BYTES { self.pass_on(at) } else { Vec::new() }
    }

    /// Writes everything that waits, failed targets last, and what comes from now on at once.
    pub(super) fn hurry(&mut self) -> Vec<Chunk> {
        self.hurry = true;
        let mut waiting: Vec<(String, Contender)> = self.waiting.drain(..).collect();
        waiting.sort_by_key(|(_, waiting)| waiting.failed);
        self.bytes = 0;
        let chunks: Vec<Chunk> = waiting.into_iter().map(chunk).collect();
        if let Some(last) = chunks.last() {
            self.holder = last.ending.is_none().then(|| last.target.clone());
        }
        chunks
    }

    /// Place of a target among those who wait.
    fn wait(&mut self, target: &str, at: Duration) -> usize {
        let entry = self.waiting.entry(target.to_owned());
        let place = entry.index();
        entry.or_insert_with(|| Contender { since: at, ..Contender::default() });
        place
    }

    /// Gives the floor to those who waited longest: to all that are over and to the first that
    /// goes on. One that failed waits for the others as long as patience allows: what is read
    /// last is remembered.
    fn pass_on(&mut self, at: Duration) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut kept = IndexMap::new();
        let mut holder = None;
        let mut waiting: Vec<(String, Contender)> = self.waiting.drain(..).collect();
        // Those that are over first: who goes on is to be the last written.
        waiting.sort_by_key(|(_, w)| (w.failed, w.ending.is_none(), w.since));
        for (target, waiting) in waiting {
            let late = waiting.since + self.rules.patience <= at;
            let goes = if waiting.failed {
                late
            } else {
                waiting.ending.is_some() || holder.is_none() || late
            };
            if goes {
                if waiting.ending.is_none() {
                    holder = Some(target.clone());
                }
                chunks.push(chunk((target, waiting)));
            } else {
                kept.insert(target, waiting);
            }
        }
        self.waiting = kept;
        self.bytes = self.waiting.values().flat_map(|w| &w.lines).map(String::len).sum();
        if holder.is_some() {
            self.holder = holder;
            self.heard = at;
        }
        chunks
    }
}

fn chunk((target, waiting): (String, Contender)) -> Chunk {
    Chunk { target, lines: waiting.lines, ending: waiting.ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor() -> Floor {
        Floor::new(Rules { patience: secs(3), silence: secs(1) })
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn line(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    fn words(chunks: &[Chunk]) -> String {
        let texts = chunks.iter().map(|chunk| {
            let lines = chunk.lines.iter().chain(&chunk.ending).map(String::as_str);
            format!("{}: {}", chunk.target, lines.collect::<Vec<_>>().join(" "))
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn others_wait_until_who_has_the_floor_is_over() {
        let mut floor = floor();
        assert_eq!(words(&floor.say("a", line("1"), secs(0))), "a: 1");
        assert_eq!(words(&floor.say("b", line("1"), secs(0))), "");
        assert_eq!(words(&floor.say("c", line("1"), secs(0))), "");
        assert_eq!(words(&floor.over("c", "built".into(), false, secs(0))), "");
        assert_eq!(words(&floor.say("b", line("2"), secs(0))), "");
        let ended = floor.over("a", "built".into(), false, secs(0));
        assert_eq!(words(&ended), "a: built; c: 1 built; b: 1 2");
        assert_eq!(words(&floor.say("b", line("3"), secs(1))), "b: 3");
    }

    #[test]
    fn nobody_waits_longer_than_patience_nor_for_one_who_is_silent() {
        let mut floor = floor();
        floor.say("a", line("1"), secs(0));
        floor.say("b", line("1"), secs(0));
        floor.say("a", line("2"), secs(1));
        floor.say("a", line("3"), secs(2));
        assert_eq!(words(&floor.tick(secs(2))), "");
        assert_eq!(words(&floor.tick(secs(3))), "b: 1");
        floor.say("a", line("4"), secs(3));
        assert_eq!(words(&floor.tick(secs(4))), "a: 4");
    }

    #[test]
    fn who_failed_comes_last() {
        let mut floor = floor();
        floor.say("a", line("1"), secs(0));
        floor.say("b", line("1"), secs(0));
        floor.over("b", "failed".into(), true, secs(0));
        floor.say("c", line("1"), secs(0));
        assert_eq!(
            words(&floor.over("a", "cancelled".into(), false, secs(0))),
            "a: cancelled; c: 1"
        );
        assert_eq!(words(&floor.over("c", "cancelled".into(), false, secs(0))), "c: cancelled");
        assert_eq!(words(&floor.hurry()), "b: 1 failed");
    }

    #[test]
    fn what_is_too_much_to_keep_is_written() {
        let mut floor = floor();
        floor.say("a", line("1"), secs(0));
        let much = "x".repeat(MOST_BYTES + 1);
        assert_eq!(floor.say("b", vec![much], secs(0)).len(), 1);
    }

    proptest::proptest! {
        /// Whatever happens, every line is written once and a target's lines stay in order; after
        /// `tick` nothing is left that waited longer than patience.
        #[test]
        fn no_line_is_lost(
            said in proptest::collection::vec((0usize..4, 0u64..3, 0u8..20), 0..80),
        ) {
            let mut floor = floor();
            let (mut at, mut count) = (0, [0usize; 4]);
            let mut over = [false; 4];
            let mut written = Vec::new();
            for (target, later, kind) in said {
                at += later;
                let name = target.to_string();
                if over[target] {
                    continue;
                }
                written.extend(match kind {
                    0 | 1 => {
                        over[target] = true;
                        floor.over(&name, "over".into(), kind == 0, secs(at))
                    }
                    2 => floor.hurry(),
                    _ => {
                        count[target] += 1;
                        floor.say(&name, line(&count[target].to_string()), secs(at))
                    }
                });
                written.extend(floor.tick(secs(at)));
                for waiting in floor.waiting.values() {
                    proptest::prop_assert!(waiting.since + secs(3) > secs(at));
                }
            }
            written.extend(floor.hurry());
            for target in 0..4 {
                let chunks = written.iter().filter(|chunk| chunk.target == target.to_string());
                let lines: Vec<String> =
                    chunks.clone().flat_map(|chunk| chunk.lines.clone()).collect();
                let expected: Vec<String> = (1..=count[target]).map(|n| n.to_string()).collect();
                proptest::prop_assert_eq!(lines, expected);
                let endings = chunks.filter(|chunk| chunk.ending.is_some()).count();
                proptest::prop_assert_eq!(endings, usize::from(over[target]));
            }
        }
    }
}

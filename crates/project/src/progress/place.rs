//! Where the steps of a target stand in its Dockerfile.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::dockerfile::Outline;

/// Where a step stands: `Dockerfile.worker:38`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlace {
    file: Arc<str>,
    line: u32,
}

impl fmt::Display for StepPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The Dockerfile of a target: it knows the places of steps.
#[derive(Debug, Clone)]
pub struct Places {
    file: Arc<str>,
    lines: Lines,
}

#[derive(Debug, Clone)]
enum Lines {
    /// To be found by the names of steps.
    Outline(Box<Outline>),
    /// By the ids of steps.
    Remembered(HashMap<String, u32>),
}

impl Places {
    /// Of a Dockerfile that is shown as `file`.
    pub fn new(file: &str, outline: Outline) -> Self {
        Self { file: file.into(), lines: Lines::Outline(Box::new(outline)) }
    }

    /// What is remembered of an earlier build: the lines of steps by their ids.
    pub fn remembered(file: &str, lines: HashMap<String, u32>) -> Self {
        Self { file: file.into(), lines: Lines::Remembered(lines) }
    }

    /// Where the instruction with this id and name stands, if that is known.
    pub(super) fn of_step(&self, id: &str, name: &str) -> Option<StepPlace> {
        let line = match &self.lines {
            Lines::Outline(outline) => u32::try_from(*outline.locate(name)?.start()).ok()?,
            Lines::Remembered(lines) => *lines.get(id)?,
        };
        Some(StepPlace { file: Arc::clone(&self.file), line })
    }
}

//! Decides what writing a set of files means for a folder: create, leave, overwrite, or refuse. Pure.

use std::fmt::Write as _;

/// A file to be there, by its path relative to the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative path with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// A file.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// What stands where a file is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Absent,
    /// A file with this content.
    File(Vec<u8>),
    /// Something that no file can replace, and what it is.
    Obstacle(String),
}

/// What is done about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there with the same content.
    Keep,
    /// It is there with other content, and may be replaced.
    Overwrite,
    /// It may not be replaced.
    Refuse,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Keep => "unchanged",
            Self::Overwrite => "overwrite",
            Self::Refuse => "conflict",
        }
    }
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The file.
    pub file: File,
    /// Why it is refused.
    pub why: String,
    /// `force` would overwrite it.
    pub is_replaceable: bool,
}

/// What is written, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One step for each file.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Decides for each file by what is there; `force` allows overwriting files.
    pub fn new(files: Vec<(File, Existing)>, force: bool) -> Self {
        let step = |(file, existing): (File, Existing)| {
            let is_replaceable = matches!(existing, Existing::File(_));
            let (action, why) = match existing {
                Existing::Absent => (Action::Create, String::new()),
                Existing::File(content) if content == file.text.as_bytes() => {
                    (Action::Keep, String::new())
                }
                Existing::File(_) if force => (Action::Overwrite, String::new()),
                Existing::File(_) => (Action::Refuse, "is there with other content".to_owned()),
                Existing::Obstacle(what) => (Action::Refuse, what),
            };
            Step { action, file, why, is_replaceable }
        };
        Self { steps: files.into_iter().map(step).collect() }
    }

    /// Files that may not be written.
    pub fn conflicts(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action == Action::Refuse)
    }

    /// Files to write.
    pub fn to_write(&self) -> impl Iterator<Item = &File> {
        self.steps
            .iter()
            .filter(|step| matches!(step.action, Action::Create | Action::Overwrite))
            .map(|step| &step.file)
    }

    /// One line for each file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Step { action, file, why, .. } in &self.steps {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            let _ = writeln!(text, "{:<10} {}{why}", action.word(), file.path);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_without_force_and_folders_never() {
        let files = || {
            let file = |path: &str| File::new(path, "new");
            vec![
                (file("a"), Existing::Absent),
                (file("b"), Existing::File(b"new".to_vec())),
                (file("c"), Existing::File(b"old".to_vec())),
                (file("d"), Existing::Obstacle("is a folder".to_owned())),
            ]
        };
        insta::assert_snapshot!(Plan::new(files(), false).text(), @r"
        create     a
        unchanged  b
        conflict   c: is there with other content
        conflict   d: is a folder
        ");
        let forced = Plan::new(files(), true);
        insta::assert_snapshot!(forced.text(), @r"
        create     a
        unchanged  b
        overwrite  c
        conflict   d: is a folder
        ");
        assert_eq!(
            forced.to_write().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["a", "c"]
        );
    }
}

//! Decides what writing a set of files means for a folder: create, leave, overwrite, or refuse. Pure.

use std::fmt::Write as _;

/// A file to be there, by its path relative to the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative path with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What happens to another file in its place.
    pub rival: Rival,
}

/// What happens to a file with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// It is in the way, and replaced where that is asked for.
    Replaced,
    /// It stays, and the rest is written.
    Stays,
}

impl File {
    /// A file that the others need.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), rival: Rival::Replaced }
    }

    /// A file that the project may have in a form of its own.
    pub fn optional(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), rival: Rival::Stays }
    }
}

/// What is already at the path of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
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
    /// Another one is there, and stays.
    Leave,
    /// It may not be replaced.
    Refuse,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Keep => "unchanged",
            Self::Overwrite => "overwrite",
            Self::Leave => "left",
            Self::Refuse => "conflict",
        }
    }
}

/// One file of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// What is done.
    pub action: Action,
    /// The file.
    pub file: File,
    /// Why it is refused.
    pub why: String,
    /// `force` would overwrite it.
    pub is_replaceable: bool,
    /// What it replaces.
    pub old: String,
}

/// What is written, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// One entry for each file.
    pub steps: Vec<PlannedFile>,
}

impl Plan {
    /// Decides for each file by what is there; `force` allows overwriting files.
    pub fn new(files: Vec<(File, Occupant)>, force: bool) -> Self {
        let step = |(file, existing): (File, Occupant)| {
            let is_replaceable = matches!(existing, Occupant::File(_));
            let old = match &existing {
                Occupant::File(content) => String::from_utf8_lossy(content).into_owned(),
                _ => String::new(),
            };
            let (action, why) = match existing {
                Occupant::Absent => (Action::Create, String::new()),
                Occupant::File(content) if content == file.text.as_bytes() => {
                    (Action::Keep, String::new())
                }
                Occupant::File(_) if file.rival == Rival::Stays => {
                    (Action::Leave, "is there with other content".to_owned())
                }
                Occupant::Obstacle(what) if file.rival == Rival::Stays => (Action::Leave, what),
                Occupant::File(_) if force => (Action::Overwrite, String::new()),
                Occupant::File(_) => (Action::Refuse, "is there with other content".to_owned()),
                Occupant::Obstacle(what) => (Action::Refuse, what),
            };
            PlannedFile { action, file, why, is_replaceable, old }
        };
        Self { steps: files.into_iter().map(step).collect() }
    }

    /// Files that may not be written.
    pub fn conflicts(&self) -> impl Iterator<Item = &PlannedFile> {
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
        for PlannedFile { action, file, why, .. } in &self.steps {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            let _ = writeln!(text, "{:<10} {}{why}", action.word(), file.path);
        }
        text
    }

    /// The content of what is written: whole where a file is new, as a difference where one is replaced.
    pub fn preview(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let lines = match step.action {
                Action::Create => step.file.text.lines().map(|line| format!("+{line}")).collect(),
                Action::Overwrite => difference(&step.old, &step.file.text),
                _ => continue,
            };
            let _ =
                write!(text, "\n{} {}\n{}\n", step.action.word(), step.file.path, lines.join("\n"));
        }
        text
    }
}

/// How many pairs of lines are compared at most, a table of 8 bytes for each; a longer file is shown as another one.
const MOST_PAIRS: usize = 1 << 22;

/// The lines of two texts in one list: ` ` in both, `-` in the old one, `+` in the new one.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        let gone = old.iter().map(|line| format!("-{line}"));
        return gone.chain(new.iter().map(|line| format!("+{line}"))).collect();
    }
    // Lengths of the longest common subsequences of what follows.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!(" {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_without_force_and_folders_never() {
        let files = || {
            let file = |path: &str| File::new(path, "new");
            vec![
                (file("a"), Occupant::Absent),
                (file("b"), Occupant::File(b"new".to_vec())),
                (file("c"), Occupant::File(b"old".to_vec())),
                (file("d"), Occupant::Obstacle("is a folder".to_owned())),
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
        assert_eq!(forced.preview(), "\ncreate a\n+new\n\noverwrite c\n-old\n+new\n");
    }

    #[test]
    fn what_a_project_has_of_its_own_stays_and_hinders_nothing() {
        let file = |path: &str| File::optional(path, "new");
        let files = vec![
            (file("a"), Occupant::File(b"old".to_vec())),
            (file("b"), Occupant::Obstacle("leads out of the folder".to_owned())),
            (file("c"), Occupant::Absent),
        ];
        insta::assert_snapshot!(Plan::new(files, true).text(), @r"
        left       a: is there with other content
        left       b: leads out of the folder
        create     c
        ");
    }

    #[test]
    fn a_difference_has_every_line_once() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n"), [" a", "-b", "+x", " c", "+d"]);
        assert!(difference("", "").is_empty());
        let long = difference(&"a\n".repeat(100_000), &"b\n".repeat(100));
        assert_eq!((long.len(), long[0].as_str(), long[100_000].as_str()), (100_100, "-a", "+b"));
    }
}

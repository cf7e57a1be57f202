//! Where a log is read: what its lines are wrapped into so that the reader's page can fold them.

use crate::terminal::Ui;
use crate::terminal::workflow::Command;

/// Which CI reads the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ci {
    /// None: a person's machine.
    #[default]
    None,
    /// One that only shows lines.
    Other,
    /// GitHub Actions.
    GitHub {
        /// `GITHUB_WORKSPACE`: annotations name files relative to it.
        workspace: Option<String>,
        /// A word no build can guess.
        token: String,
    },
    /// GitLab CI/CD.
    GitLab {
        /// When the run started, in seconds since the epoch.
        started: i64,
    },
}

/// Writes the beginnings and ends of groups of lines.
pub(crate) struct Groups {
    ui: Ui,
    ci: Ci,
    /// How often a target's group was opened, in the order of the first time.
    opened: indexmap::IndexMap<String, usize>,
    open: Option<String>,
    /// Name of the open GitLab section.
    section: String,
}

impl Groups {
    pub(crate) fn new(ui: Ui, ci: Ci) -> Self {
        Self { ui, ci, opened: indexmap::IndexMap::new(), open: None, section: String::new() }
    }

    /// Whether the reader's page folds groups; otherwise a header is all there is.
    pub(crate) fn folds(&self) -> bool {
        matches!(self.ci, Ci::GitHub { .. } | Ci::GitLab { .. })
    }

    /// From now on lines belong to `target`; `seconds` is the time since the start of the run.
    /// `header` is shown where nothing folds.
    pub(crate) fn open(&mut self, target: &str, seconds: u64, header: Option<String>) {
        if self.open.as_deref() == Some(target) {
            return;
        }
        self.close(seconds);
        let times = self.opened.entry(target.to_owned()).or_default();
        *times += 1;
        let again = *times > 1;
        let name = self.ui.foreign(target).replace('\n', " ");
        let title = if again { format!("{name} (continued)") } else { name };
        match &self.ci {
            Ci::GitHub { .. } => self.ui.workflow_command(&Command::new("group", title)),
            Ci::GitLab { started } => {
                self.section = section_name(target, *times);
                let line = section("start", &self.section, *started, seconds);
                self.ui.say_raw(format!("{line}{title}\n").as_bytes());
            }
            Ci::None | Ci::Other => {
                if let Some(header) = header {
                    self.ui.say(&header);
                }
            }
        }
        self.open = Some(target.to_owned());
    }

    /// Ends the open group, if there is one.
    pub(crate) fn close(&mut self, seconds: u64) {
        if self.open.take().is_none() {
            return;
        }
        match &self.ci {
            Ci::GitHub { .. } => self.ui.workflow_command(&Command::new("endgroup", "")),
            Ci::GitLab { started } => {
                let line = section("end", &self.section, *started, seconds);
                self.ui.say_raw(format!("{line}\n").as_bytes());
            }
            Ci::None | Ci::Other => {}
        }
    }
}

/// GitLab's line that begins or ends a section ("Custom collapsible sections" in its manual).
fn section(kind: &str, name: &str, started: i64, seconds: u64) -> String {
    let at = started.saturating_add_unsigned(seconds);
    format!("\x1b[0Ksection_{kind}:{at}:{name}\r\x1b[0K")
}

/// Letters, digits, `_`, `.` and `-`, and not used twice in a job.
fn section_name(target: &str, times: usize) -> String {
    let kept = |char: char| {
        if char.is_ascii_alphanumeric() || "_.-".contains(char) { char } else { '_' }
    };
    let name: String = target.chars().map(kept).collect();
    format!("doc2md_build_{name}_{times}")
}

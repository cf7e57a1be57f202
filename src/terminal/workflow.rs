//! Commands that GitHub Actions reads from a log, and how text is kept from being one.
//!
//! The runner takes a line for a command that begins, after blanks, with `::NAME`, and every line
//! that holds `##[NAME]`, wherever in it. Documented in "Workflow commands for GitHub Actions";
//! the second form only in the runner's sources (`ActionCommand`).

use std::fmt;

/// A command: `::NAME KEY=VALUE,...::DATA`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    name: &'static str,
    properties: Vec<(&'static str, String)>,
    data: String,
}

impl Command {
    /// A command without properties.
    pub fn new(name: &'static str, data: impl Into<String>) -> Self {
        Self { name, properties: Vec::new(), data: data.into() }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.properties.push((key, value.into()));
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "::{}", self.name)?;
        for (number, (key, value)) in self.properties.iter().enumerate() {
            let between = if number == 0 { ' ' } else { ',' };
            let value = escape(value).replace(':', "%3A").replace(',', "%2C");
            write!(f, "{between}{key}={value}")?;
        }
        write!(f, "::{}", escape(&self.data))
    }
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The text, which ends its last line, so that the runner finds no command in it.
pub(super) fn without_commands(text: String, token: &str) -> String {
    let plain = anstream::adapter::strip_str(&text).to_string();
    if [&text, &plain].iter().any(|text| text.lines().any(may_be_command)) {
        format!("::stop-commands::{token}\n{text}::{token}::\n")
    } else {
        text
    }
}

fn may_be_command(line: &str) -> bool {
    line.trim_start().starts_with("::") || line.contains("##[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::control::Colours;
    use crate::terminal::testing::piped;

    #[test]
    fn commands_are_escaped_by_the_rules_of_the_runner() {
        let command = Command::new("error", "50 % of a\nand: b, c")
            .with("file", "a,b:c.txt")
            .with("title", "100%");
        assert_eq!(
            command.to_string(),
            "::error file=a%2Cb%3Ac.txt,title=100%25::50 %25 of a%0Aand: b, c"
        );
        assert_eq!(Command::new("endgroup", "").to_string(), "::endgroup::");
    }

    #[test]
    fn what_is_said_is_no_command() {
        let (ui, _, err) = piped(Colours::Drop);
        ui.guard_workflow("t0ken");
        ui.say("plain :: text");
        ui.say("one\n  ::set-env name=a::b");
        ui.say("worker | ##[add-mask]x");
        ui.say("\x1b[31m::error::x\x1b[0m");
        ui.workflow_command(&Command::new("group", "api"));
        insta::assert_snapshot!(err.text(), @r"
        plain :: text
        ::stop-commands::t0ken
        one
          ::set-env name=a::b
        ::t0ken::
        ::stop-commands::t0ken
        worker | ##[add-mask]x
        ::t0ken::
        ::stop-commands::t0ken
        ::error::x
        ::t0ken::
        ::group::api
        ");
    }

    #[test]
    fn elsewhere_nothing_is_added() {
        let (ui, _, err) = piped(Colours::Drop);
        ui.say("::error::x");
        assert_eq!(err.text(), "::error::x\n");
    }
}

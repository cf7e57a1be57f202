//! Questions that a person answers with yes or no.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::Ui;

impl Ui {
    /// Whether somebody is there to answer: both the question and the answer go over a terminal.
    pub fn can_ask(&self) -> bool {
        self.stderr().is_terminal && io::stdin().is_terminal()
    }

    /// Writes a question on stderr. [`answer`] waits for what is typed.
    pub fn ask(&self, question: &str) {
        let question = self.foreign(question);
        self.stderr().write(&format!("{question} [y/N] "));
    }
}

/// Whether the line that is typed says yes. Blocks until there is one; `None` at the end of the input.
///
/// # Errors
/// Standard input cannot be read.
pub fn answer() -> io::Result<Option<bool>> {
    let mut line = String::new();
    let length = io::stdin().lock().read_line(&mut line)?;
    Ok((length > 0).then(|| is_yes(&line)))
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES "));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("yesterday") && !is_yes("n\n"));
    }
}

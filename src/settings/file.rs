//! Settings of a file.

use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{OPTIONS, Setting, Settings, Source, check};
use crate::error::{CommandError, ExitKind};
use crate::nearest::nearest;

/// The table that `stats` reads by itself.
const BUDGETS: &str = "budgets";

/// A file that is read.
struct File<'a> {
    text: &'a str,
    /// What messages call it.
    name: &'a str,
    root: &'a Command,
    settings: Settings,
}

/// Reads the text of the file that messages call `name`.
pub(super) fn read(text: &str, name: &str, root: &Command) -> Result<Settings, CommandError> {
    let mut file = File { text, name, root, settings: Settings::default() };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        file.wrong(at, error.message().to_owned())
    })?;
    for (key, value) in table.get_ref() {
        let at = key.span().start;
        let command = key.get_ref().as_ref();
        if command == BUDGETS {
            continue;
        }
        if !OPTIONS.iter().any(|(name, _)| first_word(name) == command) {
            return Err(file.not_a_table(at, command));
        }
        let DeValue::Table(entries) = value.get_ref() else {
            let message = format!("`{command}` is a table: write [{command}] above its settings");
            return Err(file.wrong(at, message));
        };
        file.table(command, entries)?;
    }
    Ok(file.settings)
}

impl File<'_> {
    fn table(&mut self, command: &str, entries: &DeTable<'_>) -> Result<(), CommandError> {
        for (key, value) in entries {
            let at = key.span().start;
            let key = key.get_ref().as_ref();
            let inner = format!("{command} {key}");
            if OPTIONS.iter().any(|(name, _)| *name == inner) {
                let DeValue::Table(entries) = value.get_ref() else {
                    let message =
                        format!("`{key}` is a table: write [{command}.{key}] above its settings");
                    return Err(self.wrong(at, message));
                };
                self.table(&inner, entries)?;
                continue;
            }
            self.setting(command, key, at, value)?;
        }
        Ok(())
    }

    fn setting(
        &mut self,
        command: &str,
        key: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), CommandError> {
        let known = OPTIONS.iter().find(|(name, _)| *name == command);
        let found = known.and_then(|(name, options)| {
            Some((*name, *options.iter().find(|option| **option == key)?))
        });
        let Some((command, option)) = found else {
            return Err(self.not_a_setting(
                command,
                key,
                at,
                known.map_or(&[], |(_, options)| options),
            ));
        };
        let at_value = value.span().start;
        let Some(values) = values(value.get_ref()) else {
            return Err(self.wrong(at_value, format!("the value of `{key}` is of a wrong type")));
        };
        check(self.root, command, option, &values)
            .map_err(|message| self.wrong(at_value, message))?;
        let source = Source::Line(place(self.text, at).0);
        self.settings.entries.insert((command, option), Setting { values, source });
        Ok(())
    }

    fn wrong(&self, at: usize, message: String) -> CommandError {
        let (line, column) = place(self.text, at);
        CommandError::new(ExitKind::Usage, format!("{}:{line}:{column}: {message}", self.name))
    }

    fn not_a_table(&self, at: usize, name: &str) -> CommandError {
        let mut known: Vec<&str> = OPTIONS.iter().map(|(name, _)| first_word(name)).collect();
        known.dedup();
        known.push(BUDGETS);
        let error = self.wrong(at, format!("`{name}` is not a table of settings"));
        error.hint(match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean [{near}]?"),
            None => format!("tables are {}", known.join(", ")),
        })
    }

    fn not_a_setting(&self, command: &str, key: &str, at: usize, options: &[&str]) -> CommandError {
        let prefix = format!("{command} ");
        let inner = OPTIONS.iter().filter_map(|(name, _)| name.strip_prefix(&prefix));
        let known: Vec<&str> = options.iter().copied().chain(inner).collect();
        let error = self.wrong(at, format!("`{key}` is not a setting of {command}"));
        error.hint(match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if options.is_empty() => {
                let tables: Vec<String> =
                    known.iter().map(|it| format!("[{command}.{it}]")).collect();
                format!("its tables are {}", tables.join(", "))
            }
            None => format!("its settings are {}", known.join(", ")),
        })
    }
}

fn first_word(command: &str) -> &str {
    command.split(' ').next().unwrap_or(command)
}

fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    Some(match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Boolean(flag) => vec![flag.to_string()],
        DeValue::Array(items) => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            items.collect::<Option<_>>()?
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// Line and column of a byte, from 1; columns in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

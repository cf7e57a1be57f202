//! Variables of a Dockerfile, and texts with their values.

use std::cell::Cell;
use std::collections::BTreeMap;

/// Bytes of a variable at most; one that holds others can be longer than any path, and is not known then.
const LONGEST_VALUE: usize = 16 << 10;
/// Bytes that variables may add to a Dockerfile; from there on they stay as they are written.
pub(super) const MOST_ADDED: usize = 16 << 20;

/// What variables stand for.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// Bytes that they may still add.
    room: Cell<usize>,
}

impl Variables {
    /// These values and no other.
    pub(super) fn known(values: BTreeMap<String, String>) -> Self {
        Self { values, room: Cell::new(MOST_ADDED) }
    }

    /// Gives a variable a value, unless that is longer than any path.
    pub(super) fn set(&mut self, name: &str, value: String) {
        if value.len() <= LONGEST_VALUE {
            self.values.insert(name.to_owned(), value);
        } else {
            self.values.remove(name);
        }
    }

    /// What they are.
    pub(super) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Names and what they are set to, in order, then what is given.
    pub(super) fn resolve(
        definitions: impl IntoIterator<Item = (String, String)>,
        args: &BTreeMap<String, String>,
    ) -> Self {
        let mut variables = Self { values: BTreeMap::new(), room: Cell::new(MOST_ADDED) };
        for (name, value) in definitions {
            let value = variables.expand(&value);
            variables.set(&name, value);
        }
        variables.values.extend(args.clone());
        variables
    }

    /// The value of a variable, as far as there is room for it.
    fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?;
        self.room.set(self.room.get().checked_sub(value.len())?);
        Some(value)
    }

    /// `text` with `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}` replaced; what is not known stays.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut has_brace = true;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let name_end = |text: &str| {
                text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
            };
            let inner = rest.strip_prefix('{').filter(|_| has_brace);
            let inner = inner.and_then(|inner| {
                // Where there is none any more, it is not looked for again.
                let end = inner.find('}');
                has_brace = end.is_some();
                end.map(|end| &inner[..end])
            });
            let (value, length) = match inner {
                Some(inner) => {
                    let (name, modifier) = inner.split_at(name_end(inner));
                    let is_set = || self.values.get(name).is_some_and(|value| !value.is_empty());
                    let value = match modifier.split_at_checked(2) {
                        Some((":-", default)) if !is_set() => Some(default),
                        Some((":+", set)) => Some(if is_set() { set } else { "" }),
                        _ => self.value(name),
                    };
                    (value, inner.len() + 2)
                }
                None => {
                    let end = name_end(rest);
                    (self.value(&rest[..end]), end)
                }
            };
            match value {
                Some(value) if length > 0 => out.push_str(value),
                _ => {
                    out.push('$');
                    out.push_str(&rest[..length]);
                }
            }
            rest = &rest[length..];
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_where_they_are_known() {
        let known =
            BTreeMap::from([("A".to_owned(), "x".to_owned()), ("E".to_owned(), String::new())]);
        for (text, expected) in [
            ("$A/${A}b$", "x/xb$"),
            ("${E:-d}${A:-d}${N:-d}", "dxd"),
            ("${A:+-full}${E:+-full}", "-full"),
            ("$N ${N} ${E} $(x) ${", "$N ${N}  $(x) ${"),
            ("$A", "x"),
        ] {
            let variables = Variables { values: known.clone(), room: Cell::new(MOST_ADDED) };
            assert_eq!(variables.expand(text), expected, "{text}");
        }
    }

    #[test]
    fn braces_that_nothing_closes_are_looked_for_once() {
        let text = "${".repeat(2 << 20);
        let variables = Variables { values: BTreeMap::new(), room: Cell::new(MOST_ADDED) };
        assert_eq!(variables.expand(&text), text);
        let unclosed = "${A".repeat(1 << 20) + "}" + &"${".repeat(1 << 20);
        assert_eq!(variables.expand(&unclosed), unclosed);
    }
}

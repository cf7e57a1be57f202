//! Variables in values: `$V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e} ${V:+r} ${V+r}`, nested, `$$`.
//!
//! A dollar that starts none of these stands for itself, as in compose.

use std::cell::RefCell;

use indexmap::IndexSet;

use super::error::ComposeError;
use super::model::not_utf8;
use super::node::{Node, Value};
use super::scope::Scope;

/// Nested defaults deeper than this are an error.
const MAX_NESTING: usize = 50;

/// What a value may become, in bytes. Linux gives a program no longer argument or variable than 128 KiB.
const MAX_VALUE: usize = 1 << 20;
/// What all values of a file may become, in bytes: variables of variables grow with every line.
const MAX_VALUES: usize = 64 << 20;

/// How much the values of a file may still grow.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_VALUES)
    }
}

impl Room {
    /// Takes the room of a value.
    pub(super) fn take(&mut self, value: &str) -> Result<(), Fault> {
        self.0 = self.0.checked_sub(value.len()).ok_or(Fault::Values)?;
        Ok(())
    }
}

/// Why a text cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// `${` that is not a variable.
    Format,
    /// `${V:?message}` without a value.
    Required { variable: String, message: String },
    /// A value of more than [`MAX_VALUE`] bytes.
    Value,
    /// Values of more than [`MAX_VALUES`] bytes.
    Values,
}

impl Fault {
    pub(super) fn at(self, place: &super::error::Place, text: &str) -> ComposeError {
        match self {
            Fault::Format => {
                let shown: String = text.chars().take(80).collect();
                ComposeError::at(place, format!("invalid interpolation format in `{shown}`"))
                    .hint("write $$ for a dollar sign that starts no variable")
            }
            Fault::Value => ComposeError::at(
                place,
                format!("the variables of this value make it longer than {} MiB", MAX_VALUE >> 20),
            )
            .hint("look for variables that hold each other several times"),
            Fault::Values => ComposeError::at(
                place,
                format!(
                    "variables make the values up to here longer than {} MiB",
                    MAX_VALUES >> 20
                ),
            )
            .hint("look for variables that hold each other several times"),
            Fault::Required { variable, message } => {
                let colon = if message.is_empty() { "" } else { ": " };
                ComposeError::at(
                    place,
                    format!("required variable {variable} is missing a value{colon}{message}"),
                )
            }
        }
    }
}

/// Replaces the variables of `text`; `lookup` answers values, `unset` hears of names without one.
pub(super) fn substitute(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
) -> Result<String, Fault> {
    substitute_nested(text, lookup, unset, 0)
}

fn substitute_nested(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
    level: usize,
) -> Result<String, Fault> {
    if level > MAX_NESTING {
        return Err(Fault::Format);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing_brace(inside).ok_or(Fault::Format)?;
            out.push_str(&braced(&inside[..end], lookup, unset, level)?);
            rest = &inside[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                out.push('$');
            } else {
                out.push_str(&plain(&after[..length], lookup, unset));
            }
            rest = &after[length..];
        }
        // What is written may be long; what variables add is bounded.
        if out.len() > MAX_VALUE.max(text.len()) {
            return Err(Fault::Value);
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn plain(
    name: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
) -> String {
    lookup(name).unwrap_or_else(|| {
        unset(name);
        String::new()
    })
}

fn braced(
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(&str),
    level: usize,
) -> Result<String, Fault> {
    let (name, operation) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(Fault::Format);
    }
    if operation.is_empty() {
        return Ok(plain(name, lookup, unset));
    }
    let (nonempty, operation) = match operation.strip_prefix(':') {
        Some(operation) => (true, operation),
        None => (false, operation),
    };
    let mut chars = operation.chars();
    let operator = chars.next();
    // compose's pattern for the operand does not cross lines.
    if chars.as_str().contains('\n') {
        return Err(Fault::Format);
    }
    // compose 2.40 replaces the variables of the operand whether or not it is used.
    let mut operand = || substitute_nested(chars.as_str(), lookup, unset, level + 1);
    let value = lookup(name);
    let usable = value.as_deref().is_some_and(|value| !nonempty || !value.is_empty());
    match operator {
        Some('-') => {
            let default = operand()?;
            Ok(if usable { value.unwrap_or_default() } else { default })
        }
        Some('+') => {
            let replacement = operand()?;
            Ok(if usable { replacement } else { value.unwrap_or_default() })
        }
        Some('?') => {
            let message = operand()?;
            if usable {
                Ok(value.unwrap_or_default())
            } else {
                Err(Fault::Required { variable: name.into(), message })
            }
        }
        _ => Err(Fault::Format),
    }
}

fn name_length(text: &str) -> usize {
    if text.as_bytes().first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

/// Index of the brace that closes the one before `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// Interpolates every string value below `node`; keys stay as they are.
pub(super) fn interpolate(
    node: &mut Node,
    scope: Scope<'_>,
    warnings: &mut IndexSet<String>,
) -> Result<(), ComposeError> {
    interpolate_below(node, scope, warnings, &mut Room::default())
}

fn interpolate_below(
    node: &mut Node,
    scope: Scope<'_>,
    warnings: &mut IndexSet<String>,
    room: &mut Room,
) -> Result<(), ComposeError> {
    match &mut node.value {
        Value::Str(text) if text.contains('$') => {
            let unusable = RefCell::new(None);
            let lookup = |name: &str| {
                let value = scope.environment.get(name).cloned();
                if value.is_none() && scope.not_utf8.contains(name) {
                    unusable.replace(Some(not_utf8(name)));
                }
                value
            };
            let mut first = None;
            let mut unset = |name: &str| {
                warn_unset(warnings, name);
                first.get_or_insert_with(|| name.to_owned());
            };
            let replaced = substitute(text, &lookup, &mut unset);
            if let Some(message) = unusable.take() {
                return Err(ComposeError::at(&node.place, message));
            }
            let replaced = replaced.and_then(|value| room.take(&value).map(|()| value));
            *text = replaced.map_err(|fault| fault.at(&node.place, text))?;
            node.unset = first;
            Ok(())
        }
        Value::List(items) => {
            items.iter_mut().try_for_each(|item| interpolate_below(item, scope, warnings, room))
        }
        Value::Map(map) => {
            map.values_mut().try_for_each(|node| interpolate_below(node, scope, warnings, room))
        }
        _ => Ok(()),
    }
}

/// compose's warning, once per variable.
pub(super) fn warn_unset(warnings: &mut IndexSet<String>, name: &str) {
    warnings.insert(format!("The \"{name}\" variable is not set. Defaulting to a blank string."));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn with(text: &str) -> (Result<String, Fault>, Vec<String>) {
        let lookup = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "_x1" => Some("u".to_owned()),
            _ => None,
        };
        let mut names = Vec::new();
        let result = substitute(text, &lookup, &mut |name| names.push(name.to_owned()));
        (result, names)
    }

    #[test]
    fn knows_every_form() {
        for (text, expected) in [
            ("$SET-${SET}", "value-value"),
            ("${_x1}$_x1.", "uu."),
            ("${UNSET:-d}${EMPTY:-d}${SET:-d}", "ddvalue"),
            ("${UNSET-d}${EMPTY-d}${SET-d}", "dvalue"),
            ("${UNSET:+r}|${EMPTY:+r}|${SET:+r}", "||r"),
            ("${UNSET+r}|${EMPTY+r}|${SET+r}", "|r|r"),
            ("${SET:?e}${SET?e}${EMPTY?e}", "valuevalue"),
            ("${UNSET:-${EMPTY:-${SET}}}!", "value!"),
            ("${UNSET:-a}b}", "ab}"),
            ("${UNSET:-$$x}", "$x"),
            ("${UNSET:-{}}", "{}"),
            ("${UNSET:-}", ""),
            ("$$SET $${SET}", "$SET ${SET}"),
            ("5$ $1 $. $", "5$ $1 $. $"),
            ("${UNSET:-http://h:1/p?q-r}", "http://h:1/p?q-r"),
        ] {
            assert_eq!(with(text).0.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_variable() {
        for text in ["${", "${}", "${1}", "${A!b}", "${A:b}", "${A", "${A:-x\ny}", "${ A}"] {
            assert_eq!(with(text).0, Err(Fault::Format), "{text}");
        }
    }

    #[test]
    fn reports_required_and_unset_variables() {
        let required = Fault::Required { variable: "UNSET".into(), message: "set value".into() };
        assert_eq!(with("${UNSET:?set $SET}").0, Err(required));
        assert_eq!(with("$UNSET ${OTHER} ${UNSET:-x}").1, ["UNSET", "OTHER"]);
    }

    /// Each is told once, in the order in which they stand.
    #[test]
    fn thousands_of_variables_that_are_not_set_are_told_once() {
        let names = || (0..50_000).map(|number| format!("V{number}"));
        let text: String = names().chain(names()).map(|name| format!("${name} ")).collect();
        let mut warnings = IndexSet::new();
        substitute(&text, &|_| None, &mut |name| warn_unset(&mut warnings, name)).unwrap();
        assert_eq!(warnings.len(), 50_000);
        assert!(warnings[1].starts_with("The \"V1\" variable"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[${}:?+A_1 é\n-]{0,40}") {
            let _ = with(&text);
        }

        #[test]
        fn escaped_text_comes_back(text in "\\PC*") {
            prop_assert_eq!(with(&text.replace('$', "$$")).0, Ok(text));
        }
    }
}

//! The CSV option strings that bake files and buildx flags share: `type=local,dest=out`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// An option string that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {text:?}: {reason}")]
pub struct SpecError {
    /// What the string describes, such as `secret`.
    pub what: &'static str,
    /// The string.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A typed option string: `type=TYPE,KEY=VALUE,...`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// The type.
    pub kind: String,
    /// The other fields.
    pub attrs: BTreeMap<String, String>,
}

/// A secret of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Id that `RUN --mount=type=secret,id=ID` names.
    pub id: String,
    /// Where its value is.
    pub source: SecretLocation,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretLocation {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
}

/// Splits one CSV record as Go's `encoding/csv` does.
fn fields(what: &'static str, text: &str) -> Result<Vec<String>, SpecError> {
    let error = |reason: String| SpecError { what, text: text.to_owned(), reason };
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => Ok(record.iter().map(str::to_owned).collect()),
        Some(Err(problem)) => Err(error(problem.to_string())),
        None => Err(error("it is empty".to_owned())),
    }
}

fn pairs(what: &'static str, text: &str) -> Result<Vec<(String, Option<String>)>, SpecError> {
    Ok(fields(what, text)?
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((key, value)) => (key.trim().to_lowercase(), Some(value.to_owned())),
            None => (field, None),
        })
        .collect())
}

/// Reads an exporter: `type=tar,dest=FILE`, a lone directory (`local`), or `-` (`tar` to stdout).
///
/// # Errors
/// A field without a value, or no type.
pub fn output(text: &str) -> Result<Typed, SpecError> {
    if !text.contains('=') {
        let kind = if text == "-" { "tar" } else { "local" };
        let attrs = BTreeMap::from([("dest".to_owned(), text.to_owned())]);
        return Ok(Typed { kind: kind.to_owned(), attrs });
    }
    typed("output", text)
}

/// Reads a cache import or export: a reference (`registry`) or `type=TYPE,...`.
///
/// # Errors
/// A field without a value, or no type.
pub fn cache(text: &str) -> Result<Typed, SpecError> {
    if !text.contains('=') {
        let attrs = BTreeMap::from([("ref".to_owned(), text.to_owned())]);
        return Ok(Typed { kind: "registry".to_owned(), attrs });
    }
    typed("cache", text)
}

/// Reads an attestation: `type=provenance,mode=max`; answers the frontend's value.
///
/// # Errors
/// No type.
pub fn attest(text: &str) -> Result<(String, String), SpecError> {
    let spec = typed("attest", text)?;
    let value: Vec<String> =
        spec.attrs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok((spec.kind, value.join(",")))
}

fn typed(what: &'static str, text: &str) -> Result<Typed, SpecError> {
    let mut spec = Typed::default();
    for (key, value) in pairs(what, text)? {
        let Some(value) = value else {
            let reason = format!("field {key:?} must be KEY=VALUE");
            return Err(SpecError { what, text: text.to_owned(), reason });
        };
        if key == "type" {
            spec.kind = value;
        } else {
            spec.attrs.insert(key, value);
        }
    }
    if spec.kind.is_empty() {
        let reason = "it has no type".to_owned();
        return Err(SpecError { what, text: text.to_owned(), reason });
    }
    Ok(spec)
}

/// Reads a secret: `id=ID[,type=file],src=PATH` or `id=ID[,type=env][,env=NAME]`; without a source
/// the id names the variable, or else the file, as in buildx.
///
/// # Errors
/// An unknown field or type, or no id.
pub fn secret(text: &str, has_variable: impl Fn(&str) -> bool) -> Result<SecretSpec, SpecError> {
    let error = |reason: String| SpecError { what: "secret", text: text.to_owned(), reason };
    let (mut id, mut kind, mut file, mut variable) = (None, None, None, None);
    for (key, value) in pairs("secret", text)? {
        let value = value.ok_or_else(|| error(format!("field {key:?} must be KEY=VALUE")))?;
        match key.as_str() {
            "id" => id = Some(value),
            "type" if value == "file" || value == "env" => kind = Some(value),
            "type" => return Err(error(format!("unsupported type {value:?}"))),
            "source" | "src" => file = Some(value),
            "env" => variable = Some(value),
            _ => return Err(error(format!("unexpected key {key:?}"))),
        }
    }
    let id = id.ok_or_else(|| error("it has no id".to_owned()))?;
    let source = match (kind.as_deref(), file, variable) {
        (Some("env"), source, variable) => {
            SecretLocation::Env(variable.or(source).unwrap_or_else(|| id.clone()))
        }
        (_, Some(path), _) => SecretLocation::File(path.into()),
        (Some("file"), None, _) => SecretLocation::File(id.clone().into()),
        (_, None, Some(variable)) => SecretLocation::Env(variable),
        (_, None, None) if has_variable(&id) => SecretLocation::Env(id.clone()),
        (_, None, None) => SecretLocation::File(id.clone().into()),
    };
    Ok(SecretSpec { id, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn outputs() {
        let spec = output(r#"type=local,"dest=a,b""#).unwrap();
        assert_eq!((spec.kind.as_str(), spec.attrs["dest"].as_str()), ("local", "a,b"));
        assert_eq!(output("-").unwrap().kind, "tar");
        assert_eq!(output("out").unwrap().attrs["dest"], "out");
        assert!(output("dest=x").unwrap_err().to_string().contains("no type"));
    }

    #[test]
    fn secrets() {
        let none = |_: &str| false;
        let file = |path: &str| SecretLocation::File(path.into());
        assert_eq!(secret("id=a,src=/x", none).unwrap().source, file("/x"));
        assert_eq!(
            secret("id=a,type=env,env=B", none).unwrap().source,
            SecretLocation::Env("B".into())
        );
        assert_eq!(secret("id=a", |_| true).unwrap().source, SecretLocation::Env("a".into()));
        assert_eq!(secret("id=a", none).unwrap().source, file("a"));
        assert!(secret("src=/x", none).unwrap_err().reason.contains("no id"));
        assert!(secret("id=a,colour=red", none).unwrap_err().reason.contains("colour"));
    }

    #[test]
    fn caches() {
        assert_eq!(cache("user/app:cache").unwrap().attrs["ref"], "user/app:cache");
        assert_eq!(cache("type=local,src=/c").unwrap().kind, "local");
    }
}

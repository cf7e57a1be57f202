//! Option strings that bake files and buildx flags share, such as `type=local,dest=out`: read once, printed as they
//! were written.

use std::collections::BTreeMap;
use std::fmt;
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

/// An exporter, a cache or an attestation: `type=TYPE,KEY=VALUE,...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The type.
    pub kind: String,
    /// The other fields.
    pub attrs: BTreeMap<String, String>,
    text: String,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Spec {
    /// `type=KIND` and nothing else.
    pub fn plain(kind: &str) -> Self {
        Self { kind: kind.to_owned(), attrs: BTreeMap::new(), text: format!("type={kind}") }
    }

    /// The same with `key=value`.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let has_key = |field: &&str| field.strip_prefix(key).is_some_and(|it| it.starts_with('='));
        let mut fields: Vec<&str> = self.text.split(',').filter(|field| !has_key(field)).collect();
        let field = format!("{key}={value}");
        fields.push(&field);
        self.text = fields.join(",");
        self.attrs.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Reads an exporter: `type=tar,dest=FILE`, a lone directory (`local`), or `-` (`tar` to stdout).
    ///
    /// # Errors
    /// A field without a value, or no type.
    pub fn output(text: &str) -> Result<Self, SpecError> {
        // buildx `util/buildflags/export.go`, ParseExports: a path may hold an equals sign, and no comma.
        if text.starts_with("type=") || fields("output", text)? != [text] {
            return Self::read("output", text);
        }
        Ok(Self::short(if text == "-" { "tar" } else { "local" }, "dest", text))
    }

    /// Reads a cache import or export: a reference (`registry`) or `type=TYPE,...`.
    ///
    /// # Errors
    /// A field without a value, or no type.
    pub fn cache(text: &str) -> Result<Self, SpecError> {
        // buildx reads `a,b` as two references: here each has an option of its own.
        if text.contains(['=', ',']) {
            return Self::read("cache", text);
        }
        Ok(Self::short("registry", "ref", text))
    }

    /// Reads an attestation: `type=provenance,mode=max`.
    ///
    /// # Errors
    /// A field without a value, or no type.
    pub fn attestation(text: &str) -> Result<Self, SpecError> {
        Self::read("attest", text)
    }

    fn short(kind: &str, key: &str, text: &str) -> Self {
        let attrs = BTreeMap::from([(key.to_owned(), text.to_owned())]);
        Self { kind: kind.to_owned(), attrs, text: text.to_owned() }
    }

    fn read(what: &'static str, text: &str) -> Result<Self, SpecError> {
        let error = |reason: String| SpecError { what, text: text.to_owned(), reason };
        let mut spec = Self { kind: String::new(), attrs: BTreeMap::new(), text: text.to_owned() };
        for (key, value) in pairs(what, text)? {
            let value = value.ok_or_else(|| error(format!("field {key:?} must be KEY=VALUE")))?;
            if key == "type" {
                spec.kind = value;
            } else {
                spec.attrs.insert(key, value);
            }
        }
        if spec.kind.is_empty() {
            return Err(error("it has no type".to_owned()));
        }
        Ok(spec)
    }
}

/// A secret of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Secret {
    /// Id that `RUN --mount=type=secret,id=ID` names.
    pub id: String,
    /// Where its value is.
    pub source: SecretLocation,
    text: String,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretLocation {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An SSH agent, or keys, that a target gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshKey {
    /// Id that `RUN --mount=type=ssh,id=ID` names.
    pub id: String,
    /// Paths of a socket or of keys, separated by commas; empty: the agent of SSH_AUTH_SOCK.
    pub paths: String,
}

impl SshKey {
    /// Reads `ID=PATHS` or `ID`.
    pub fn read(text: &str) -> Self {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        Self { id: id.to_owned(), paths: paths.to_owned() }
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.id, self.paths)
    }
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

impl Secret {
    /// The value of the environment variable `name`.
    pub fn of_variable(id: &str, name: &str) -> Self {
        let text = format!("id={id},type=env,env={name}");
        Self { id: id.to_owned(), source: SecretLocation::Env(name.to_owned()), text }
    }

    /// The content of the file at `path`.
    pub fn of_file(id: &str, path: &str) -> Self {
        let text = format!("id={id},type=file,src={path}");
        Self { id: id.to_owned(), source: SecretLocation::File(path.into()), text }
    }

    /// Reads a secret: `id=ID[,type=file],src=PATH` or `id=ID[,type=env][,env=NAME]`; without a source
    /// the id names the variable, or else the file, as in buildx.
    ///
    /// # Errors
    /// An unknown field or type, or no id.
    pub fn read(text: &str, has_variable: impl Fn(&str) -> bool) -> Result<Self, SpecError> {
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
        Ok(Self { id, source, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn outputs() {
        let spec = Spec::output(r#"type=local,"dest=a,b""#).unwrap();
        assert_eq!((spec.kind.as_str(), spec.attrs["dest"].as_str()), ("local", "a,b"));
        assert_eq!(Spec::output("-").unwrap().kind, "tar");
        assert_eq!(Spec::output("out").unwrap().attrs["dest"], "out");
        assert_eq!(Spec::output("a=b").unwrap().attrs["dest"], "a=b");
        assert!(Spec::output("dest=x,a=b").unwrap_err().to_string().contains("no type"));
        assert!(Spec::output("x,y").unwrap_err().to_string().contains("must be KEY=VALUE"));
    }

    #[test]
    fn secrets() {
        let none = |_: &str| false;
        let file = |path: &str| SecretLocation::File(path.into());
        assert_eq!(Secret::read("id=a,src=/x", none).unwrap().source, file("/x"));
        assert_eq!(
            Secret::read("id=a,type=env,env=B", none).unwrap().source,
            SecretLocation::Env("B".into())
        );
        assert_eq!(Secret::read("id=a", |_| true).unwrap().source, SecretLocation::Env("a".into()));
        assert_eq!(Secret::read("id=a", none).unwrap().source, file("a"));
        assert!(Secret::read("src=/x", none).unwrap_err().reason.contains("no id"));
        assert!(Secret::read("id=a,colour=red", none).unwrap_err().reason.contains("colour"));
    }

    #[test]
    fn caches() {
        assert_eq!(Spec::cache("user/app:cache").unwrap().attrs["ref"], "user/app:cache");
        assert_eq!(Spec::cache("type=local,src=/c").unwrap().kind, "local");
    }

    #[test]
    fn what_was_read_is_printed_as_it_was_written() {
        for text in ["-", "out", r#"type=local,"dest=a,b""#, "Type=tar, dest=x"] {
            assert_eq!(Spec::output(text).unwrap().to_string(), text);
        }
        let secret = Secret::of_variable("a", "B");
        assert_eq!(Secret::read(&secret.to_string(), |_| false).unwrap(), secret);
        let secret = Secret::of_file("a", "/x");
        assert_eq!(Secret::read(&secret.to_string(), |_| false).unwrap(), secret);
        assert_eq!(SshKey::read("default").to_string(), "default=");
        let image = Spec::plain("image").with("push", "false").with("push", "true");
        assert_eq!(image, Spec::output("type=image,push=true").unwrap());
    }
}

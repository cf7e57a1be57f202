//! Whether an image can get a name: the grammar of references (distribution/reference), without digests.

use std::fmt;

/// Why a text is not a name for an image that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceFault {
    /// Nothing, or nothing before the tag.
    Empty,
    /// `NAME:`.
    EmptyTag,
    /// A digest is what a build ends with, not what it is told.
    Digest,
    /// Capitals in the repository.
    Capitals,
    /// `{{ ... }}`.
    Template,
    /// Anything else.
    Form,
}

impl fmt::Display for ReferenceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::EmptyTag => "its tag is empty",
            Self::Digest => "it names a digest, which no build can be told to have",
            Self::Capitals => "a repository's name is in lower case",
            Self::Template => "it is a template that is not rendered yet",
            Self::Form => "it is not of the form [HOST[:PORT]/]NAME[:TAG]",
        })
    }
}

impl ReferenceFault {
    /// What could help with `text`.
    pub fn hint(self, text: &str) -> Option<String> {
        match self {
            Self::EmptyTag | Self::Empty => Some("is a variable in it not set?".to_owned()),
            Self::Digest => Some("a service with `build:` gets a name and a tag".to_owned()),
            Self::Capitals => Some(format!("write `{}`", text.to_lowercase())),
            Self::Template => Some("give the file that the template makes".to_owned()),
            Self::Form => None,
        }
    }
}

/// What is wrong with `text` as a name for an image that is built, if anything is.
pub fn fault(text: &str) -> Option<ReferenceFault> {
    if text.contains("{{") {
        return Some(ReferenceFault::Template);
    }
    if text.contains('@') {
        return Some(ReferenceFault::Digest);
    }
    let after_slash = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match text[after_slash..].find(':') {
        Some(colon) => (&text[..after_slash + colon], Some(&text[after_slash + colon + 1..])),
        None => (text, None),
    };
    if name.is_empty() {
        return Some(ReferenceFault::Empty);
    }
    match tag {
        Some("") => return Some(ReferenceFault::EmptyTag),
        Some(tag) if !is_tag(tag) => return Some(ReferenceFault::Form),
        _ => {}
    }
    let path = match name.split_once('/') {
        // What stands before the first slash is a host where it looks like one.
        Some((host, path)) if is_host(host) => path,
        _ => name,
    };
    if path.split('/').all(is_component) {
        return None;
    }
    let lower = path.to_lowercase();
    Some(match lower != path && lower.split('/').all(is_component) {
        true => ReferenceFault::Capitals,
        false => ReferenceFault::Form,
    })
}

fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.to_lowercase() != text
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

/// Runs of letters and digits with one dot, one or two underscores, or hyphens between them.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = text.split(|c: char| c.is_ascii() && is_word(c as u8));
    let mut inner = separators.filter(|between| !between.is_empty());
    let edges =
        text.bytes().next().is_some_and(is_word) && text.bytes().last().is_some_and(is_word);
    edges && inner.all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for good in [
            "x",
            "a/b/c:1.0",
            "localhost/x",
            "localhost:5000/x:latest",
            "Host/x",
            "r.io/a__b/c-d--e.f",
            "p_app",
            "x:V1_a",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, why) in [
            ("", ReferenceFault::Empty),
            (":1", ReferenceFault::Empty),
            ("x:", ReferenceFault::EmptyTag),
            ("r.io:5000/x:", ReferenceFault::EmptyTag),
            ("x@sha256:aa", ReferenceFault::Digest),
            ("X", ReferenceFault::Capitals),
            ("r.io/App:1", ReferenceFault::Capitals),
            ("{{ name }}", ReferenceFault::Template),
            ("a b", ReferenceFault::Form),
            ("/x", ReferenceFault::Form),
            ("x/", ReferenceFault::Form),
            ("a..b", ReferenceFault::Form),
            ("_x", ReferenceFault::Form),
            ("x:a:b", ReferenceFault::Form),
            ("x:.", ReferenceFault::Form),
        ] {
            assert_eq!(fault(bad), Some(why), "{bad}");
        }
    }
}

//! What must not be written down: credentials in URLs, and values that are known to be secret.
//!
//! A text that a build shows can hold both, since the engine expands build arguments in the names
//! of steps. Pure functions on text.

/// Stands where something was left out.
pub const REDACTED: &str = "***";

/// Shorter values are words that occur anywhere: leaving them out would garble, not protect.
const SHORTEST: usize = 4;

/// Words in the name of a variable that say that its value is a secret.
const TELLING: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "private_key",
    "credential",
    "auth_key",
];

/// Whether a variable of this name holds a secret, as far as its name tells.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// Leaves out what must not be written down.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a value that holds another goes as a whole.
    values: Vec<String>,
}

impl Redactor {
    /// Leaves out these values, and credentials in URLs.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> =
            values.into_iter().filter(|value| value.trim().len() >= SHORTEST).collect();
        values.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// `text` with [`REDACTED`] for what is left out.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), REDACTED);
            }
        }
        urls(&text)
    }
}

/// `text` with [`REDACTED`] for user and password of every `SCHEME://USER:PASSWORD@HOST`. A user
/// alone stays, as in `ssh://git@host`, unless the URL is one of http: a token may stand there.
pub fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || "\"'`<>?#".contains(c));
        let authority = &after[..end.unwrap_or(after.len())];
        rest = after;
        if let Some((user, host)) = authority.rsplit_once('@')
            && (user.contains(':') || before.ends_with("http://") || before.ends_with("https://"))
        {
            out.push_str(REDACTED);
            rest = &after[user.len()..];
            debug_assert!(rest.ends_with(host) || rest.len() > host.len());
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_go_and_the_rest_stays() {
        for (text, shown) in [
            ("https://me:pw@pypi.example/simple", "https://***@pypi.example/simple"),
            ("pip --index https://t0ken@h/ -r x", "pip --index https://***@h/ -r x"),
            ("a http://u:p@h b ftp://u:p@g/", "a http://***@h b ftp://***@g/"),
            ("git clone ssh://git@host/x", "git clone ssh://git@host/x"),
            ("https://host/path@1.2", "https://host/path@1.2"),
            ("https://u:p@ss@host/", "https://***@host/"),
            ("docker.io/a@sha256:0", "docker.io/a@sha256:0"),
            ("://", "://"),
        ] {
            assert_eq!(urls(text), shown);
        }
    }

    #[test]
    fn known_values_go_the_longest_first() {
        let redactor = Redactor::new(["abcd".into(), "abcdef".into(), "x".into(), "  ".into()]);
        assert_eq!(redactor.text("RUN x --key=abcdef abcd"), "RUN x --key=*** ***");
    }

    #[test]
    fn names_tell() {
        for name in ["GITHUB_TOKEN", "db_password", "NPM_AUTH_KEY", "AWS_SECRET_ACCESS_KEY"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["VERSION", "KEYS", "PYTHON", "AUTHOR"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, value: String) {
            let _ = Redactor::new([value]).text(&text);
        }

        #[test]
        fn no_password_survives(user in "[a-z]{1,8}", password in "[A-Z0-9@:]{1,12}") {
            let shown = urls(&format!("x https://{user}:{password}@host/p y"));
            proptest::prop_assert_eq!(shown, "x https://***@host/p y");
        }
    }
}

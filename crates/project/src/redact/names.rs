//! Whether the name of a variable or parameter says that its value is a secret.
//!
//! Names are read word by word (`NEXUS_PASS`, `nexusPass`), since a telling word is often part of a harmless one: `PATH`,
//! `AUTHOR`, `KEYBOARD`, `PASSENGER`, `TOKENIZER`. A last word that says what of it is meant (`TOKEN_TTL`,
//! `PASSWORD_FILE`) makes the value harmless, and so do words of what is public or a number (`PUBLIC_KEY`,
//! `MAX_TOKENS`).

/// Tell wherever in a word they stand: `DBPASSWORD`, `GITHUBTOKEN`.
const STEMS: [&str; 10] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASSCODE",
    "CREDENTIAL",
    "CREDS",
    "APIKEY",
    "DSN",
    "SECRET",
    "TOKEN",
];
/// Tell as a word.
const WORDS: [&str; 13] = [
    "PASS", "PW", "PWD", "PAT", "KEY", "CRED", "JWT", "BEARER", "COOKIE", "NETRC", "PEM", "SAS",
    "OTP",
];
/// Tell at the end of a word.
const ENDINGS: [&str; 3] = ["PASS", "PWD", "PW"];
/// Words that end or begin as those that tell.
const HARMLESS: [&str; 16] = [
    "BYPASS",
    "COMPASS",
    "ENCOMPASS",
    "MULTIPASS",
    "OVERPASS",
    "SURPASS",
    "TRESPASS",
    "UNDERPASS",
    "OLDPWD",
    "SECRETARY",
    "SECRETARIAT",
    "TOKENIZE",
    "TOKENIZED",
    "TOKENIZER",
    "TOKENIZERS",
    "TOKENIZATION",
];
/// What a word that ends with KEY begins with when it is the key to something.
const KEYS_TO: [&str; 12] = [
    "ACCESS",
    "ACCOUNT",
    "AUTH",
    "DEPLOY",
    "ENCRYPTION",
    "LICENSE",
    "MASTER",
    "PRIVATE",
    "SECRET",
    "SIGN",
    "SIGNING",
    "SSH",
];
/// With one of these, wherever it stands, a name is not that of a secret.
const PUBLIC: [&str; 10] =
    ["PUBLIC", "PUB", "MAX", "MIN", "NUM", "CACHE", "SORT", "PRIMARY", "FOREIGN", "PARTITION"];
/// As the last word: what of the secret is meant, and not itself.
const ABOUT: [&str; 31] = [
    "ALG",
    "ALGORITHM",
    "COUNT",
    "DIR",
    "DISABLED",
    "ENABLED",
    "ENDPOINT",
    "FILE",
    "HEADER",
    "HOST",
    "ISSUER",
    "LEN",
    "LENGTH",
    "LIMIT",
    "METHOD",
    "MODE",
    "NAME",
    "PATH",
    "POLICY",
    "PORT",
    "PROVIDER",
    "REQUIRED",
    "SERVER",
    "SIZE",
    "TIMEOUT",
    "TTL",
    "TYPE",
    "URI",
    "URL",
    "USERNAME",
    "VERSION",
];

/// Whether a variable of this name holds a secret, as far as its name tells.
pub fn names_a_secret(name: &str) -> bool {
    let words = words(name);
    let [first @ .., last] = &words[..] else { return false };
    // The working directory, in every shell.
    if first.is_empty() && last == "PWD" {
        return false;
    }
    let about = !first.is_empty() && ABOUT.contains(&last.as_str());
    let public = words.iter().any(|word| PUBLIC.contains(&word.as_str()));
    !about && !public && words.iter().any(|word| tells(word))
}

fn tells(word: &str) -> bool {
    if HARMLESS.contains(&word) {
        return false;
    }
    // AUTHOR is none, AUTHORIZATION is.
    let auth = word.find("AUTH").is_some_and(|at| {
        let rest = &word[at + "AUTH".len()..];
        !rest.starts_with("OR") || rest.starts_with("ORIZ")
    });
    let key = word.strip_suffix("KEY").is_some_and(|to| KEYS_TO.contains(&to));
    auth || key
        || WORDS.contains(&word)
        || STEMS.iter().any(|stem| word.contains(stem))
        || ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// The words of a name in capitals: `myNexus_pass-2` is MY, NEXUS, PASS and 2.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for char in name.chars() {
        let begins = before.is_ascii_lowercase() && char.is_ascii_uppercase();
        if !char.is_ascii_alphanumeric() || begins {
            words.push(String::new());
        }
        if char.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char.to_ascii_uppercase());
        }
        before = char;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for name in [
            "NEXUS_PASS",
            "GIT_PW",
            "GITHUB_PAT",
            "githubPat",
            "AWS_CREDS",
            "MYCREDS",
            "SENTRY_DSN",
            "DSN",
            "NPM_AUTH",
            "BASIC_AUTH_HEADER_VALUE",
            "AUTHTOKEN",
            "AUTHORIZATION",
            "PROXY_AUTHORIZATION",
            "GITHUB_TOKEN",
            "token",
            "X-Amz-Security-Token",
            "_authToken",
            "db_password",
            "DBPASSWORD",
            "DB_PWD",
            "ROOTPW",
            "PGPASS",
            "NPM_AUTH_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "API_KEY",
            "apikey",
            "SSHKEY",
            "PRIVATE_KEY_BASE64",
            "SIGNING_KEY",
            "CLIENT_SECRET",
            "CREDENTIALS_JSON",
            "SSH_PRIVATE_KEY",
            "KEY",
            "PASSWORD",
            "npm.token",
            "API_TOKENS",
            "TLS_PEM",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "PATH",
            "AUTHOR",
            "AUTHORS",
            "AUTHORITY",
            "KEYBOARD",
            "PASSENGER",
            "PATCH",
            "PATTERN",
            "PYTHONPATH",
            "COMPAT",
            "VERSION",
            "KEYS",
            "PYTHON",
            "PWD",
            "OLDPWD",
            "BYPASS",
            "COMPASS_URL",
            "MONKEY",
            "TOKENIZERS_PARALLELISM",
            "MAX_TOKENS",
            "TOKEN_TTL",
            "PASSWORD_MIN_LENGTH",
            "PASSWORD_FILE",
            "KEY_SIZE",
            "PUBLIC_KEY",
            "CACHE_KEY",
            "AUTH_URL",
            "AUTH_TYPE",
            "SECRET_NAME",
            "SECRETARY",
            "KEYSERVER",
            "",
            "___",
            "SPATIAL",
            "PASSIVE",
            "HTTP_PROXY",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}

//! What a bucket is reached with: keys of the environment, as buildx hands them on (`build/opt.go`, `addAwsCredentials`, at
//! 461836b). buildx asks the AWS SDK, which also knows profiles, roles and metadata services: without it these are not read, and
//! BuildKit looks for keys of its own. Pure.

use std::collections::BTreeMap;

use crate::targets::spec::Spec;

/// The type of such a cache.
pub(super) const KIND: &str = "s3";

/// The key, the secret and the token, each under the names that the SDK knows (aws-sdk-go-v2, `config/env_config.go`).
const KEY: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"];
const SECRET: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"];
const TOKEN: [&str; 1] = ["AWS_SESSION_TOKEN"];

/// Variables by which the SDK finds keys elsewhere.
const ELSEWHERE: [&str; 7] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The values of the environment, if it has key and secret: one without the other is nothing to the SDK.
struct Keys<'a> {
    key: &'a str,
    secret: &'a str,
    token: Option<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(variables: &'a BTreeMap<String, String>) -> Option<Self> {
        let get = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variables.get(*name));
            values.find(|value| !value.is_empty()).map(String::as_str)
        };
        Some(Self { key: get(&KEY)?, secret: get(&SECRET)?, token: get(&TOKEN) })
    }
}

/// The attributes of a cache, completed by the variables of the environment.
pub(super) fn complete(
    spec: &Spec,
    variables: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut attrs = spec.attrs.clone();
    // A token belongs to its key.
    let Some(keys) = Keys::of(variables).filter(|_| !is_whole(spec)) else { return attrs };
    let pairs = [
        ("access_key_id", Some(keys.key)),
        ("secret_access_key", Some(keys.secret)),
        ("session_token", keys.token),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            attrs.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    attrs
}

/// What is said where buildx would have found keys that are not in the environment. `files` are those of the AWS tools that are
/// there.
pub(super) fn is_not_read(
    spec: &Spec,
    variables: &BTreeMap<String, String>,
    files: &[&str],
) -> Option<String> {
    if is_whole(spec) || Keys::of(variables).is_some() {
        return None;
    }
    let is_set = |name: &&str| variables.get(*name).is_some_and(|value| !value.is_empty());
    let found: Vec<&str> = ELSEWHERE.into_iter().filter(is_set).chain(files.to_vec()).collect();
    let found = found.first()?;
    Some(format!(
        "the s3 cache gets no keys from this machine: the environment lacks {} and {}, and {found} is not read; BuildKit uses \
         keys of its own, if it has any (`aws configure export-credentials --format env` prints those of a profile)",
        KEY[0], SECRET[0]
    ))
}

/// What of the environment is secret.
pub(super) fn secrets(variables: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let names = KEY.iter().chain(&SECRET).chain(&TOKEN);
    names.filter_map(|name| variables.get(*name)).map(String::as_str)
}

/// Whether a cache says its keys itself.
fn is_whole(spec: &Spec) -> bool {
    ["access_key_id", "secret_access_key"].iter().all(|key| spec.attrs.contains_key(*key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [(&str, &str); 3] =
        [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn found(text: &str, pairs: &[(&str, &str)]) -> String {
        let attrs = complete(&Spec::cache(text).unwrap(), &variables(pairs));
        let pairs: Vec<String> =
            attrs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }

    #[test]
    fn attributes_are_those_of_buildx() {
        let whole = "access_key_id=k,bucket=b,secret_access_key=s,session_token=t";
        assert_eq!(found("type=s3,bucket=b", &ALL), whole);
        assert_eq!(
            found("type=s3", &ALL[..2]),
            "access_key_id=k,secret_access_key=s",
            "without a token"
        );
        let older = [("AWS_ACCESS_KEY", "k"), ("AWS_SECRET_KEY", "s"), ("AWS_SESSION_TOKEN", "")];
        assert_eq!(found("type=s3", &older), "access_key_id=k,secret_access_key=s");
        for half in [&ALL[..1], &ALL[1..]] {
            assert_eq!(found("type=s3,bucket=b", half), "bucket=b");
        }
        // The token of the environment is not that of other keys.
        let own = "access_key_id=x,secret_access_key=y";
        assert_eq!(found(&format!("type=s3,{own}"), &ALL), own);
        let half = found("type=s3,access_key_id=x", &ALL);
        assert_eq!(half, "access_key_id=x,secret_access_key=s,session_token=t");
    }

    #[test]
    fn keys_that_only_the_sdk_finds_are_missed() {
        let missed = |text: &str, pairs: &[(&str, &str)], files: &[&str]| {
            is_not_read(&Spec::cache(text).unwrap(), &variables(pairs), files)
        };
        let profile = [("AWS_PROFILE", "ci")];
        let said = missed("type=s3", &profile, &[]).unwrap();
        assert!(said.contains("AWS_SECRET_ACCESS_KEY, and AWS_PROFILE is not read"), "{said}");
        let said = missed("type=s3", &[], &["~/.aws/credentials"]).unwrap();
        assert!(said.contains("and ~/.aws/credentials is not read"), "{said}");
        // Roles of the builder's machine are nobody's business here.
        assert_eq!(missed("type=s3", &[], &[]), None);
        assert_eq!(missed("type=s3", &[profile[0], ALL[0], ALL[1]], &["f"]), None);
        assert_eq!(missed("type=s3,access_key_id=x,secret_access_key=y", &profile, &[]), None);
    }
}

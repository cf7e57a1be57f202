//! What the cache service of GitHub Actions is reached with. Source: buildx `build/opt.go`, `addGithubToken` and `isActive`, at
//! 461836b. Pure.

use std::collections::BTreeMap;

use crate::compose::parse_bool;
use crate::targets::spec::Spec;

/// The type of such a cache.
pub(super) const KIND: &str = "gha";
/// The token that may read and write caches of the job.
pub(super) const TOKEN: &str = "ACTIONS_RUNTIME_TOKEN";
const RESULTS: &str = "ACTIONS_RESULTS_URL";
const URL: &str = "ACTIONS_CACHE_URL";
const VERSION_2: &str = "ACTIONS_CACHE_SERVICE_V2";

/// The attributes of a cache, completed by the variables of the environment.
///
/// # Errors
/// The variables that are missing.
pub(super) fn complete(
    spec: &Spec,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let mut attrs = spec.attrs.clone();
    let is_2 = match attrs.get("version") {
        Some(version) => version == "2",
        None => get(VERSION_2).and_then(|it| parse_bool(it)) == Some(true),
    };
    let mut put = |key: &str, value: Option<&String>| {
        if let (Some(value), false) = (value, attrs.contains_key(key)) {
            attrs.insert(key.to_owned(), value.clone());
        }
    };
    put("token", get(TOKEN));
    if is_2 {
        put("url_v2", get(RESULTS));
    }
    put("url", get(URL).or_else(|| get(RESULTS)));
    let has = |key: &str| attrs.get(key).is_some_and(|value| !value.is_empty());
    match (has("token"), has("url") || has("url_v2")) {
        (true, true) => Ok(attrs),
        (false, true) => Err(TOKEN.to_owned()),
        (true, false) => Err(RESULTS.to_owned()),
        (false, false) => Err(format!("{TOKEN} and {RESULTS}")),
    }
}

/// What is said where variables are missing.
pub(super) fn is_missing(names: &str) -> String {
    format!(
        "the GitHub Actions cache is not used: the environment lacks {names}, which GitHub gives to actions alone and not to \
         `run` steps; an action before the build has to hand them on (crazy-max/ghaction-github-runtime does)"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(text: &str, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        match complete(&Spec::cache(text).unwrap(), &variables.collect()) {
            Ok(attributes) => {
                let pairs: Vec<String> =
                    attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
                pairs.join(",")
            }
            Err(missing) => format!("no {missing}"),
        }
    }

    #[test]
    fn attributes_are_those_of_buildx() {
        let token = (TOKEN, "t");
        let plain = |variables: &[(&str, &str)]| found("type=gha", variables);
        assert_eq!(plain(&[]), "no ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL");
        assert_eq!(plain(&[token]), "no ACTIONS_RESULTS_URL");
        assert_eq!(plain(&[(RESULTS, "r"), (TOKEN, "")]), "no ACTIONS_RUNTIME_TOKEN");
        assert_eq!(plain(&[token, (RESULTS, "r")]), "token=t,url=r");
        assert_eq!(plain(&[token, (RESULTS, "r"), (URL, "c")]), "token=t,url=c");
        let both = [token, (RESULTS, "r"), (URL, "c"), (VERSION_2, "True")];
        assert_eq!(plain(&both), "token=t,url=c,url_v2=r");
        // GitHub Enterprise Server has the older service.
        assert_eq!(plain(&[token, (URL, "c"), (VERSION_2, "true")]), "token=t,url=c");
        assert_eq!(plain(&[token, (RESULTS, "r"), (VERSION_2, "yes")]), "token=t,url=r");
    }

    #[test]
    fn what_the_user_wrote_stays() {
        let all = [(TOKEN, "t"), (RESULTS, "r"), (URL, "c"), (VERSION_2, "true")];
        assert_eq!(found("type=gha,version=1", &all), "token=t,url=c,version=1");
        assert_eq!(found("type=gha,version=2", &all[..2]), "token=t,url=r,url_v2=r,version=2");
        assert_eq!(found("type=gha,url=u,url_v2=v", &all), "token=t,url=u,url_v2=v");
        assert_eq!(found("type=gha,token=mine,url_v2=v", &[]), "token=mine,url_v2=v");
        assert_eq!(found("type=gha,token=mine", &[]), "no ACTIONS_RESULTS_URL");
        assert_eq!(found("type=gha,token=,url=u", &all), "no ACTIONS_RUNTIME_TOKEN");
    }
}

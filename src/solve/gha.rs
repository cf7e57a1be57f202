//! What the cache service of GitHub Actions is reached with: BuildKit gets it as attributes of the cache, since the engine has
//! not the variables of the job. Source: buildx `build/opt.go`, `addGithubToken`. Pure.

use std::collections::BTreeMap;

use crate::targets::spec::Spec;
use crate::targets::target::Target;

/// The type of such a cache.
pub const KIND: &str = "gha";
/// The token that may read and write caches of the job.
pub const TOKEN: &str = "ACTIONS_RUNTIME_TOKEN";
const RESULTS: &str = "ACTIONS_RESULTS_URL";
const URL: &str = "ACTIONS_CACHE_URL";
const VERSION_2: &str = "ACTIONS_CACHE_SERVICE_V2";

/// Attributes by the variables of the environment.
///
/// # Errors
/// The variables that are missing.
pub fn attributes(
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let is_2 = get(VERSION_2).is_some_and(|it| matches!(it.to_lowercase().as_str(), "true" | "1"));
    let mut attributes = BTreeMap::new();
    let mut put = |key: &str, value: Option<&String>| {
        attributes.extend(value.map(|value| (key.to_owned(), value.clone())));
    };
    let token = get(TOKEN);
    put("token", token);
    let url = if is_2 {
        put("version", Some(&"2".to_owned()));
        put("url_v2", get(RESULTS));
        get(RESULTS)
    } else {
        get(URL).or_else(|| get(RESULTS))
    };
    put("url", get(URL).or_else(|| get(RESULTS)));
    match (token, url) {
        (Some(_), Some(_)) => Ok(attributes),
        (None, Some(_)) => Err(TOKEN.to_owned()),
        (Some(_), None) => Err(RESULTS.to_owned()),
        (None, None) => Err(format!("{TOKEN} and {RESULTS}")),
    }
}

/// What is said where variables are missing.
pub fn is_missing(names: &str) -> String {
    format!(
        "the GitHub Actions cache is not used: the environment lacks {names}, which GitHub gives to actions alone and not to \
         `run` steps; an action before the build has to hand them on (crazy-max/ghaction-github-runtime does)"
    )
}

/// Caches of `target` that need the attributes.
pub fn specs(target: &Target) -> impl Iterator<Item = &Spec> {
    let policy = target.layer_cache.as_ref();
    let from = target.cache_from.iter().chain(policy.into_iter().flat_map(|it| &it.from));
    let to = target.cache_to.iter().chain(policy.and_then(|it| it.to.as_ref().ok()));
    from.chain(to).filter(|spec| spec.kind == KIND && !is_whole(spec))
}

/// Whether a cache says itself how it is reached.
pub fn is_whole(spec: &Spec) -> bool {
    spec.attrs.contains_key("token")
        && (spec.attrs.contains_key("url") || spec.attrs.contains_key("url_v2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        match attributes(&variables.collect()) {
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
        assert_eq!(found(&[]), "no ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL");
        assert_eq!(found(&[token]), "no ACTIONS_RESULTS_URL");
        assert_eq!(found(&[(RESULTS, "r"), (TOKEN, "")]), "no ACTIONS_RUNTIME_TOKEN");
        assert_eq!(found(&[token, (RESULTS, "r")]), "token=t,url=r");
        assert_eq!(found(&[token, (RESULTS, "r"), (URL, "c")]), "token=t,url=c");
        let both = [token, (RESULTS, "r"), (URL, "c"), (VERSION_2, "True")];
        assert_eq!(found(&both), "token=t,url=c,url_v2=r,version=2");
        assert_eq!(found(&[token, (URL, "c"), (VERSION_2, "true")]), "no ACTIONS_RESULTS_URL");
    }
}

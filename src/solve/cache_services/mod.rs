//! What services that keep caches are reached with: BuildKit gets it as attributes of the cache, since it has not the variables of
//! this process. GitHub Actions and S3, as for buildx; of Azure only what the user wrote, as for buildx. Pure.

mod gha;
mod s3;

use std::collections::BTreeMap;

use crate::redact::Secrets;
use crate::targets::spec::Spec;
use crate::targets::target::Target;

/// Files of the AWS tools, below the home directory.
pub const AWS_FILES: [&str; 2] = [".aws/credentials", ".aws/config"];

/// The attributes of `spec`, completed by the environment; `None` where nothing says how the service is reached, of which
/// [`warnings`] tells.
pub fn complete(
    spec: &Spec,
    variables: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    match spec.kind.as_str() {
        gha::KIND => gha::complete(spec, variables).ok(),
        s3::KIND => Some(s3::complete(spec, variables)),
        _ => Some(spec.attrs.clone()),
    }
}

/// What is to be said of the caches of `target`, each thing once. `files` are those of [`AWS_FILES`] that are there.
pub fn warnings(
    target: &Target,
    variables: &BTreeMap<String, String>,
    files: &[&str],
) -> Vec<String> {
    let warning = |spec: &Spec| match spec.kind.as_str() {
        gha::KIND => gha::complete(spec, variables).err().map(|names| gha::is_missing(&names)),
        s3::KIND => s3::is_not_read(spec, variables, files),
        _ => None,
    };
    let mut warnings: Vec<String> = Vec::new();
    for warning in specs(target).filter_map(warning) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    warnings
}

/// Adds what is secret of the caches of `target`: attributes with a telling name, and what completes them.
pub fn add_secrets(target: &Target, variables: &BTreeMap<String, String>, secrets: &mut Secrets) {
    if let Some(token) = variables.get(gha::TOKEN) {
        secrets.add(token.as_bytes());
    }
    for spec in specs(target) {
        spec.attrs.iter().for_each(|(name, value)| secrets.add_argument(name, value));
        if spec.kind == s3::KIND {
            s3::secrets(variables).for_each(|value| secrets.add(value.as_bytes()));
        }
    }
}

/// The caches of `target`.
fn specs(target: &Target) -> impl Iterator<Item = &Spec> {
    let policy = target.layer_cache.as_ref();
    let from = target.cache_from.iter().chain(policy.into_iter().flat_map(|it| &it.from));
    from.chain(&target.cache_to).chain(policy.and_then(|it| it.to.as_ref().ok()))
}

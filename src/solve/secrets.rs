//! What is secret in a run: everything that its targets are given as a secret, and values that look like one.
//!
//! Files are read once, before the build: what is served is also what is taken out of everything that is printed, and a pipe
//! cannot be read a second time.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::buildkit::session::secrets::MAX_SECRET_BYTES;
use crate::environment::Environment;
use crate::files::read;
use crate::redact::Secrets;
use crate::solve::cache_services;
use crate::solve::plan::BuildPlan;
use crate::solve::sessions::SecretFiles;
use crate::targets::spec::SecretLocation;
use crate::targets::target::Target;

/// The secrets of everything that `plan` builds, since one of a target may show up in the output of another, and the
/// files some of them are in.
pub async fn of_plan(plan: &BuildPlan, environment: &Environment) -> (Secrets, SecretFiles) {
    let mut secrets = Secrets::default();
    let mut paths = BTreeSet::new();
    for step in &plan.steps {
        of_target(&step.target, environment, &mut secrets, &mut paths);
    }
    let read = move || {
        let content =
            |path: &PathBuf| read::bytes(path, MAX_SECRET_BYTES).map_err(|e| e.to_string());
        paths.into_iter().map(|path| (path.clone(), content(&path))).collect::<SecretFiles>()
    };
    // A pipe may wait for who writes into it.
    let files = tokio::task::spawn_blocking(read).await.unwrap_or_default();
    files.values().flatten().for_each(|content| secrets.add(content));
    (secrets, files)
}

fn of_target(
    target: &Target,
    environment: &Environment,
    secrets: &mut Secrets,
    files: &mut BTreeSet<PathBuf>,
) {
    for secret in &target.secrets {
        match &secret.source {
            SecretLocation::File(path) => {
                files.insert(path.clone());
            }
            SecretLocation::Env(name) => {
                let value = target.secret_env.get(name).map(String::as_str);
                let value = value.or_else(|| environment.get(name));
                secrets.add(value.unwrap_or_default().as_bytes());
            }
        }
    }
    for (name, value) in &target.args {
        secrets.add_argument(name, value);
    }
    cache_services::add_secrets(target, &environment.variables, secrets);
    let contexts = [&target.context].into_iter().chain(target.contexts.values());
    let specs = target.cache_from.iter().chain(&target.cache_to).chain(&target.outputs);
    contexts
        .cloned()
        .chain(specs.map(ToString::to_string))
        .for_each(|text| secrets.add_urls(&text));
}

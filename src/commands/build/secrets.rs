//! What is secret in a run: everything that its targets are given as a secret, and what else tells of itself.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::build::plan::BuildPlan;
use crate::build::spec::{self, SecretLocation};
use crate::build::target::Target;
use crate::buildkit::session::secrets::MAX_SECRET_BYTES;
use crate::commands::environment::Environment;
use crate::redact::Secrets;

/// The secrets of everything that `plan` builds: one of a target may show up in what is told of another. A file that
/// cannot be read is reported where it is served.
pub(super) async fn of_plan(plan: &BuildPlan, environment: &Environment) -> Secrets {
    let mut secrets = Secrets::default();
    let mut files = Vec::new();
    for step in &plan.steps {
        of_target(&step.target, environment, &mut secrets, &mut files);
    }
    let read = move || files.iter().filter_map(|path| read(path)).collect::<Vec<_>>();
    let contents = tokio::task::spawn_blocking(read).await.unwrap_or_default();
    contents.iter().for_each(|content| secrets.add(content));
    secrets
}

fn of_target(
    target: &Target,
    environment: &Environment,
    secrets: &mut Secrets,
    files: &mut Vec<PathBuf>,
) {
    for text in &target.secrets {
        // What is wrong with it is told where the request is made.
        let is_set = |name: &str| target.secret_env.contains_key(name);
        let Ok(secret) = spec::secret(text, is_set) else { continue };
        match secret.source {
            SecretLocation::File(path) => files.push(path),
            SecretLocation::Env(name) => {
                let value = target.secret_env.get(&name).map(String::as_str);
                let value = value.or_else(|| environment.get(&name));
                secrets.add(value.unwrap_or_default().as_bytes());
            }
        }
    }
    for (name, value) in &target.args {
        secrets.add_argument(name, value);
    }
    let texts = [&target.context]
        .into_iter()
        .chain(target.contexts.values())
        .chain(&target.cache_from)
        .chain(&target.cache_to)
        .chain(&target.outputs);
    texts.for_each(|text| secrets.add_urls(text));
}

/// As much of a file as a secret can have. Never waits: what is no file has no end.
fn read(path: &Path) -> Option<Vec<u8>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut content = Vec::new();
    File::open(path).ok()?.take(MAX_SECRET_BYTES).read_to_end(&mut content).ok()?;
    Some(content)
}

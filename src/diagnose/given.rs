//! What a RUN mounts and does not get: without `required` it runs, and fails by itself.

use super::facts::{Facts, Supply};

/// A hint for the first mount of `step` that is without what it asks for. A mount that says `required=false` can do
/// without.
pub(super) fn hint(step: &str, facts: &dyn Facts) -> Option<String> {
    let mounts = step.split_whitespace().filter_map(|word| word.strip_prefix("--mount="));
    let mut hints = mounts.filter_map(|mount| {
        let fields = || mount.split(',').map(|field| field.split_once('=').unwrap_or((field, "")));
        let value = |names: &[&str]| {
            let field = fields().find(|(key, _)| names.contains(key));
            field.map(|(_, value)| value.trim_matches('"'))
        };
        if value(&["required"]) == Some("false") {
            return None;
        }
        match value(&["type"])? {
            "secret" => {
                let target = value(&["target", "dst", "destination"]);
                let id = value(&["id"]).or_else(|| target?.rsplit('/').next())?;
                match facts.secret(id) {
                    Supply::No => Some(format!(
                        "the step mounts secret `{id}`, which was not given: list it under build.secrets of \
                         the service, or give --secret id={id},src=FILE"
                    )),
                    Supply::Empty { variable } => Some(format!(
                        "secret `{id}` is empty: the variable {variable} is not set, or set to nothing"
                    )),
                    Supply::Yes => None,
                }
            }
            "ssh" => {
                let id = value(&["id"]).unwrap_or("default");
                (!facts.has_ssh(id)).then(|| {
                    format!(
                        "the step mounts ssh `{id}`, which was not given: list it under build.ssh of the \
                         service, or give --ssh {id}"
                    )
                })
            }
            _ => None,
        }
    });
    hints.next()
}

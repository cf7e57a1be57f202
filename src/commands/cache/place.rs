//! Where caches are kept, as it is named on the command line.

use std::sync::Arc;

use super::usage;
use crate::app::App;
use crate::cache_mounts::storage::{Place, Storage, StorageError};
use crate::error::{CommandError, ExitKind};
use crate::registry::logins::CredentialStore;
use crate::signal::Cause;
use crate::targets::spec::Spec;

/// Reads `DIR`, `type=local,KEY=DIR` or `type=registry,ref=REF`.
fn parse(text: &str, key: &str) -> Result<Place, String> {
    if !text.split(',').any(|field| field.starts_with("type=")) {
        return folder(text);
    }
    let mut typed = Spec::cache(text).map_err(|error| error.to_string())?;
    let place = match typed.kind.as_str() {
        "local" => folder(&typed.attrs.remove(key).unwrap_or_default())?,
        "registry" => {
            let reference = typed.attrs.remove("ref").unwrap_or_default();
            if reference.is_empty() {
                return Err("which names no ref".to_owned());
            }
            let is_insecure = match typed.attrs.remove("registry.insecure").as_deref() {
                None | Some("false" | "0") => false,
                Some("true" | "1") => true,
                Some(_) => return Err("whose registry.insecure is neither true nor false".into()),
            };
            Place::Registry { reference, is_insecure }
        }
        _ => {
            return Err(format!(
                "where cache mounts are not kept: type=local,{key}=DIR or type=registry,ref=REF"
            ));
        }
    };
    match typed.attrs.keys().next() {
        Some(other) => Err(format!("and {other} means nothing for type={}", typed.kind)),
        None => Ok(place),
    }
}

fn folder(path: &str) -> Result<Place, String> {
    if path.is_empty() {
        return Err("which names no folder".to_owned());
    }
    Ok(Place::Folder(path.into()))
}

/// The place that `--to` names.
pub(super) fn to_write(text: &str) -> Result<Place, CommandError> {
    parse(text, "dest").map_err(|why| usage("--to", text, &why))
}

/// The places that each `--from` names.
pub(super) fn to_read(texts: &[String]) -> Result<Vec<Place>, CommandError> {
    let place = |text: &String| parse(text, "src").map_err(|why| usage("--from", text, &why));
    texts.iter().map(place).collect()
}

/// Begins to read from a place.
pub(super) async fn open(
    app: &App,
    place: &Place,
    logins: &CredentialStore,
) -> Result<Arc<Storage>, CommandError> {
    let opened = Storage::for_reading(place, logins, app.interrupt.token()).await;
    opened.map(Arc::new).map_err(|error| cannot(app, error))
}

/// Begins to write to a place.
pub(super) async fn open_to_write(app: &App, place: &Place) -> Result<Arc<Storage>, CommandError> {
    let opened = Storage::for_writing(place, &app.logins(), app.interrupt.token()).await;
    opened.map(Arc::new).map_err(|error| cannot(app, error))
}

/// Why a place cannot be used.
pub(super) fn cannot(app: &App, error: StorageError) -> CommandError {
    let hint = match &error {
        StorageError::Interrupted => {
            return app.interrupt.cause().map_or_else(|| Cause::Signal.error(), Cause::error);
        }
        StorageError::Busy(_) => {
            return CommandError::new(ExitKind::Interrupted, error.to_string());
        }
        StorageError::Registry { source, .. } => source.hint(),
        _ => None,
    };
    let cause = CommandError::new(ExitKind::Failed, error.to_string());
    let cause = match error {
        StorageError::File { source, .. } => cause.caused_by(source),
        StorageError::Manifest { source, .. } => cause.caused_by(source),
        StorageError::Registry { source, .. } => cause.caused_by(source),
        StorageError::Interrupted | StorageError::Busy(_) => cause,
    };
    hint.into_iter().fold(cause, CommandError::hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_two_ways_and_a_registry_in_one() {
        let folder = |path: &str| Some(Place::Folder(path.into()));
        let tag = |reference: &str, is_insecure| {
            Some(Place::Registry { reference: reference.to_owned(), is_insecure })
        };
        for (text, expected) in [
            ("cache", folder("cache")),
            ("type=local,dest=a b", folder("a b")),
            ("a=b", folder("a=b")),
            ("ref=x", folder("ref=x")),
            ("type=registry,ref=r.example/m:main", tag("r.example/m:main", false)),
            ("type=registry,ref=r/m,registry.insecure=true", tag("r/m", true)),
            ("", None),
            ("type=local", None),
            ("type=local,src=x", None),
            ("type=local,dest=x,mode=max", None),
            ("type=registry", None),
            ("type=registry,dest=x", None),
            ("type=registry,ref=x,mode=max", None),
            ("type=registry,ref=x,registry.insecure=perhaps", None),
            ("dest=x,type=gha", None),
        ] {
            let parsed = parse(text, "dest");
            assert_eq!(parsed.as_ref().ok(), expected.as_ref(), "{text}: {parsed:?}");
        }
    }
}

//! What becomes of a solve that succeeded: files and indexes get their names, an image gets into the engine where it was
//! built elsewhere, is looked at, and is pushed where its exporter could not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnose::{self, OutputHints};
use crate::engine::{Engine, ImageFacts, RegistryCredentials, registry_of};
use crate::progress::outcome::{BuildFailure, BuiltImage, TargetOutcome};
use crate::progress::{FailureKind, TransferProgress};
use crate::registry::logins::CredentialStore;
use crate::solve::failure;
use crate::solve::job::Job;
use crate::solve::loading::{self, Trouble};
use crate::solve::site::Surroundings;
use crate::solve::solving::{Solution, Solve};
use crate::solve::stores;
use crate::solve::telling::{LOADING, Listeners};

/// Loads the image where it was built elsewhere, looks at it, and pushes it where its exporter could not.
pub(super) async fn finish(
    solve: &Solve<'_>,
    around: &Surroundings,
    mut solved: Solution,
    telling: &Listeners,
) -> TargetOutcome {
    let job = solve.job;
    let finished = async {
        settle(job, &solved.response).await?;
        let loaded = load(solve, around, &mut solved, telling).await?;
        let image = image(job, around, solved, loaded).await?;
        if let Some(engine) = &around.engine {
            for reference in &job.push {
                push(engine, &job.logins, reference).await?;
            }
        }
        Ok(image)
    };
    match finished.await {
        Ok(image) => TargetOutcome::Built(image),
        Err(failure) => TargetOutcome::Failed(failure),
    }
}

/// Loads the image where it was built elsewhere. Returns what the engine says of it, where it is known to be there under all
/// of its names.
async fn load(
    solve: &Solve<'_>,
    around: &Surroundings,
    solved: &mut Solution,
    telling: &Listeners,
) -> Result<Option<ImageFacts>, BuildFailure> {
    let job = solve.job;
    let Some(engine) = &around.engine else { return Ok(None) };
    let bytes = Arc::<TransferProgress>::default();
    if let (Some(way), Some(names), false) = (&around.by_layers, job.by_layers(), solved.is_whole) {
        let loading = way.load(&solved.response, &names, &bytes);
        let failed = |loaded: &Result<ImageFacts, Trouble>| match loaded {
            Err(Trouble::Engine(failure)) => Some(failure.message.clone()),
            _ => None,
        };
        match telling.during(LOADING, &bytes, loading, failed).await {
            Ok(facts) => return Ok(Some(facts)),
            Err(Trouble::Engine(failure)) => return Err(failure),
            Err(Trouble::Kept) => export_whole(solve, around, solved).await?,
        }
    }
    for archive in &job.archives {
        let loading = loading::load(engine, archive, &bytes);
        let failed = |loaded: &Result<(), BuildFailure>| {
            loaded.as_ref().err().map(|failure| failure.message.clone())
        };
        telling.during(LOADING, &bytes, loading, failed).await?;
    }
    Ok(None)
}

/// Has the image leave the builder as an archive, since its layers cannot be used.
async fn export_whole(
    solve: &Solve<'_>,
    around: &Surroundings,
    solved: &mut Solution,
) -> Result<(), BuildFailure> {
    let whole = solve.export_whole().await.map_err(|error| {
        let failure = failure::explain(solve.job, &error, None, &OutputHints::default());
        around.name_lost(failure)
    })?;
    settle(solve.job, &whole.response).await?;
    solved.response.extend(whole.response);
    Ok(())
}

/// What was built, as the engine has it, where it is there to be found.
async fn image(
    job: &Job,
    around: &Surroundings,
    solved: Solution,
    loaded: Option<ImageFacts>,
) -> Result<BuiltImage, BuildFailure> {
    let Solution { build_ref, response, .. } = solved;
    let mut image = BuiltImage {
        references: job.references.clone(),
        id: response
            .get("containerimage.config.digest")
            .or_else(|| response.get("containerimage.digest"))
            .cloned()
            .unwrap_or_default(),
        size_bytes: None,
        exporter_response: response,
        cache: None,
    };
    let build_ref = format!("{}/{build_ref}", around.builder());
    image.exporter_response.insert("buildx.build.ref".to_owned(), build_ref);
    if let Some(facts) = loaded {
        return Ok(BuiltImage { id: facts.id, size_bytes: facts.size_bytes, ..image });
    }
    let Some(engine) = around.engine.as_ref().filter(|_| job.loads_image) else {
        return Ok(image);
    };
    // By its digest: the name may be another build's by now. Engines with graph drivers and those with the containerd
    // store call an image by different ones.
    let digests = ["containerimage.digest", "containerimage.config.digest"];
    let digests: Vec<String> =
        digests.iter().filter_map(|key| image.exporter_response.get(*key).cloned()).collect();
    let mut is_there = false;
    for digest in digests {
        // A failed look leaves the summary without a size; the image is built all the same.
        if let Ok(Some(facts)) = engine.image(&digest).await {
            image.id = facts.id;
            image.size_bytes = facts.size_bytes;
            is_there = true;
            break;
        }
    }
    if !job.archives.is_empty() {
        if !is_there {
            return Err(loading::not_there(&image.id));
        }
        loading::verify(engine, &image.references).await?;
    }
    Ok(image)
}

/// What the engine wrote on this machine gets its names: files, and entries of indexes.
async fn settle(job: &Job, response: &BTreeMap<String, String>) -> Result<(), BuildFailure> {
    let failed = |message: String| BuildFailure::new(FailureKind::Engine, message);
    if let Some(exports) = &job.exports {
        exports.name_files().map_err(failed)?;
    }
    if job.index_updates.is_empty() {
        return Ok(());
    }
    let (updates, response) = (job.index_updates.clone(), response.clone());
    // It waits for whoever holds an index.
    let recorded = tokio::task::spawn_blocking(move || stores::record(&updates, &response)).await;
    recorded.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)
}

async fn push(
    engine: &Engine,
    logins: &CredentialStore,
    reference: &str,
) -> Result<(), BuildFailure> {
    let registry = registry_of(reference);
    let failed = |message: String| BuildFailure {
        hint: diagnose::classify(&format!("failed to push {reference}: {message}"))
            .hint
            .or_else(|| Some(format!("run `docker login {registry}`, or check the reference"))),
        ..BuildFailure::new(FailureKind::Registry, message)
    };
    let login = logins.credentials(registry).await.map_err(|error| failed(error.to_string()))?;
    // A secret without a user is an identity token.
    let credentials = if login.username.is_empty() {
        RegistryCredentials { identity_token: login.secret, ..RegistryCredentials::default() }
    } else {
        RegistryCredentials {
            username: login.username,
            password: login.secret,
            identity_token: String::new(),
        }
    };
    engine.push(reference, credentials).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        failed(format!("registry {registry}: {error}{}", cause.unwrap_or_default()))
    })
}

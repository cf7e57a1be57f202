//! `doc2md-docker doctor`: engine, builder, logins and history to findings.

use std::collections::BTreeMap;
use std::path::Path;

use crate::app::App;
use crate::cli::doctor::{DoctorArgs, DoctorFormat};
use crate::compose::Project;
use crate::counted::{agreed, counted};
use crate::doctor::{self, Facts, Finding, Sources, Trouble, Verdict};
use crate::error::{CommandError, ExitKind};
use crate::files::write;
use crate::history::Store;
use crate::unreachable::unreachable;
use crate::usage;
use crate::view::doctor as report;

/// Runs the command.
///
/// # Errors
/// A problem was found, or the bundle cannot be written.
pub async fn run(app: &App, args: &DoctorArgs) -> Result<(), CommandError> {
    let facts = facts(app).await;
    let findings = doctor::diagnose(&facts);
    let document = report::document(&findings);
    if let Some(file) = &args.bundle {
        write::document(file, document.as_bytes(), &mut app.ui.stdout_stream()).map_err(
            |error| {
                let message = format!("failed to write {}", file.display());
                CommandError::new(ExitKind::Failed, message).caused_by(error)
            },
        )?;
    }
    app.ui.data(&match args.format {
        DoctorFormat::Json => document,
        DoctorFormat::Text => report::text(&findings, app.ui.data_columns()),
    });
    verdict(&findings, matches!(facts.engine, Some(Err(_))))
}

/// What a script is told.
fn verdict(findings: &[Finding], is_engine_gone: bool) -> Result<(), CommandError> {
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    let kind = if is_engine_gone { ExitKind::EngineUnreachable } else { ExitKind::Failed };
    match problems {
        0 => Ok(()),
        count => {
            let (problems, were) = (counted(count, "problem"), agreed(&count, "was", "were"));
            Err(CommandError::new(kind, format!("{problems} {were} found")))
        }
    }
}

async fn facts(app: &App) -> Facts {
    let mut facts = Facts { history: history(app), ..Facts::default() };
    let config = app.docker_config();
    facts.config_damage.clone_from(&config.damage);
    let path = app.environment.get("PATH").unwrap_or_default();
    facts.helpers = doctor::helpers(config, path);
    let connector = match app.connector() {
        Ok(connector) => connector,
        Err(error) => {
            facts.engine = Some(Err(trouble(error)));
            return facts;
        }
    };
    facts.address = connector.address();
    facts.builder = builder(app);
    let project = app.project().ok();
    facts.has_proxy = has_proxy(&config.proxy_args(&facts.address), project.as_ref());
    let directory = &app.environment.working_dir;
    let services = project.as_ref().and_then(|it| usage::services(Some(it), directory).ok());
    let ledger = app.environment.ledger_directory();
    let sources = Sources {
        connector,
        bases: &project.as_ref().map(|it| bases(app, &it.name)).unwrap_or_default(),
        project: project.as_ref().map(|it| it.name.as_str()).zip(services.as_deref()),
        ledger: ledger.as_ref(),
    };
    let failed = |error| trouble(unreachable(connector, error));
    let (engine, registries) = doctor::gather(&sources, failed).await;
    facts.engine = Some(engine);
    facts.registries = registries;
    facts
}

/// Whether builds are given a proxy: by docker's configuration, or by a service of the project here.
fn has_proxy(given: &BTreeMap<String, String>, project: Option<&Project>) -> bool {
    let services = project.into_iter().flat_map(|project| project.services.values());
    let args = services.filter_map(|service| service.build.as_ref()).map(|build| &build.args);
    let is_proxy = |name: &str| {
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    let mut all = args.chain([given]).flatten();
    all.any(|(name, value)| is_proxy(name) && !value.is_empty())
}

/// The builder that builds go to, where it is not the engine.
fn builder(app: &App) -> Option<Result<String, Trouble>> {
    let catalog = app.builders().ok()?;
    match catalog.choose(None) {
        Ok(choice) if choice.is_engine => None,
        Ok(choice) => match catalog.destination(&choice, &[]) {
            Ok(Some(_)) => Some(Ok(choice.to_string())),
            Ok(None) => Some(Err(Trouble {
                message: format!("builds do not go to {choice}: its driver is not supported"),
                hint: Some("`doc2md-docker builders` lists builders".to_owned()),
            })),
            Err(error) => Some(Err(trouble(error.into()))),
        },
        Err(error) => Some(Err(trouble(error.into()))),
    }
}

/// Base images of the project's last build.
fn bases(app: &App, project: &str) -> Vec<String> {
    let store = app.environment.ledger_directory().map(Store::open);
    let newest = store.and_then(|store| store.newest(project, 1).ok());
    let entries = newest.map(|(entries, _)| entries).unwrap_or_default();
    let targets = entries.into_iter().flat_map(|entry| entry.targets);
    targets.flat_map(|target| target.inputs.bases).map(|base| base.reference).collect()
}

/// Where builds are remembered, or why they cannot be.
fn history(app: &App) -> Result<String, String> {
    let directory = app.environment.ledger_directory().ok_or("there is no HOME")?;
    // It is made by the first build: what counts is the nearest directory that is there.
    let there = directory.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::access(there, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(directory.display().to_string()),
        Err(error) => Err(format!("{} cannot be written: {error}", there.display())),
    }
}

fn trouble(error: CommandError) -> Trouble {
    let causes = error.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
    Trouble { message: format!("{}{causes}", error.message), hint: error.hints.first().cloned() }
}

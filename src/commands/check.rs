//! `doc2md-docker check`: targets and earlier builds to findings.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::App;
use crate::build_context::glob;
use crate::check::gather::{self, TargetText};
use crate::check::repair::{Repair, repairs};
use crate::check::{self, Finding, Severity, Source};
use crate::cli::check::{CheckArgs, CheckFormat, CheckSeverity};
use crate::commands::context;
use crate::compose::Project;
use crate::error::{CommandError, ExitKind};
use crate::files::write;
use crate::progress::outcome::TargetOutcome;
use crate::redact::{Redactor, Secrets};
use crate::run::{Memory, Place, Run};
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::solve::site::Load;
use crate::targets::{self, Target, TargetOptions};
use crate::view::Progress;
use crate::view::check as report;
use crate::view::ci::Ci;

/// How long the engine may take for its own checks.
const PATIENCE: Duration = Duration::from_secs(60);
/// One change can make way for another; not for ever.
const MOST_PASSES: usize = 4;

/// A target, the name of its Dockerfile and its text.
type TargetFile = (Target, String, String);

/// Runs the command.
///
/// # Errors
/// The files are invalid, a context cannot be read, a change cannot be written, or something bad enough is found.
pub async fn run(app: &App, args: &CheckArgs) -> Result<(), CommandError> {
    let project = app.project()?;
    let mut found: Vec<TargetFile> = Vec::new();
    for target in context::targets(app, &args.services)? {
        let (file, text) = dockerfile(app, &target)?;
        found.push((target, file, text));
    }
    if let Ci::GitHub { token, .. } = app.ci() {
        app.ui.guard_workflow(&token);
    }
    // Changes show lines as they are.
    let hidden = hidden(&found);
    app.ui.hide(hidden.clone());
    let mut findings = own(app, &project, &found)?;
    if args.fix {
        findings = fixed(app, args, &project, &mut found, findings)?;
    }
    let left_out = match by_buildkit(app, &project, args, &found).await {
        Ok((of_buildkit, left_out)) => {
            findings.extend(of_buildkit);
            findings = check::in_order(findings);
            left_out
        }
        Err(error) if error.kind == ExitKind::Interrupted => return Err(error),
        Err(error) => Some(error.message),
    };
    let left_out = left_out.map(|why| why.lines().next().unwrap_or_default().to_owned());
    // A run hides what it knows of, and nothing else.
    app.ui.hide(hidden);
    if let Some(why) = &left_out {
        app.ui.note(&format!("BuildKit's own checks are left out: {why}"));
    }
    print(app, args, &project, &findings, left_out.as_deref());
    ended(args, &findings)
}

/// What no output may hold.
fn hidden(found: &[TargetFile]) -> Redactor {
    let mut secrets = Secrets::default();
    for (target, _, text) in found {
        check::add_secrets(text, &mut secrets);
        target.args.iter().for_each(|(name, value)| secrets.add_argument(name, value));
    }
    Redactor::new(&secrets)
}

/// The Dockerfile of a target by the shortest name from here, and its text.
fn dockerfile(app: &App, target: &Target) -> Result<(String, String), CommandError> {
    let here = &app.environment.working_dir;
    let (file, text) = context::dockerfile(app, target)?;
    if target.dockerfile_inline.is_some() {
        return Ok((file, text));
    }
    let clean = glob::clean(here.join(&file).as_os_str().as_bytes());
    let path = Path::new(OsStr::from_bytes(&clean));
    Ok((path.strip_prefix(here).unwrap_or(path).display().to_string(), text))
}

/// This program's own findings.
fn own(app: &App, project: &Project, found: &[TargetFile]) -> Result<Vec<Finding>, CommandError> {
    let here = &app.environment.working_dir;
    let built: Vec<TargetText<'_>> =
        found.iter().map(|(target, file, text)| TargetText { target, file, text }).collect();
    let memory = Memory::new(project, &app.environment);
    let entries = memory.map(|memory| memory.newest()).unwrap_or_default();
    let subject = gather::project(project, &built, &entries, here).map_err(context::invalid)?;
    Ok(check::findings(&subject))
}

/// What the Dockerfile frontend of the engine finds, and why it did not look at a Dockerfile.
async fn by_buildkit(
    app: &App,
    project: &Project,
    args: &CheckArgs,
    found: &[TargetFile],
) -> Result<(Vec<Finding>, Option<String>), CommandError> {
    let services = args.services.clone();
    let options = TargetOptions { services, check: true, ..TargetOptions::default() };
    let mut set = targets::from_compose(project, &options)?;
    set.group.retain(|name| found.iter().any(|(target, _, _)| target.name == *name));
    let plan = solve::checked_plan(&set, None)?;
    if plan.steps.is_empty() {
        return Ok((Vec::new(), None));
    }
    // Nobody waits for ever for what is an addition.
    let deadline = Some(Instant::now() + PATIENCE);
    let settings = RunSettings { parallel: None, keep_going: true, deadline };
    let (place, progress) = (Place::Builder(Load::IfThere), Progress::Silent);
    let run = Run {
        app,
        plan: Cow::Borrowed(&plan),
        project: &project.name,
        settings,
        progress,
        memory: None,
        place,
    };
    let finished = run.carry_out().await?;
    let (mut findings, mut left_out) = (Vec::new(), None);
    for (target, file, _) in found {
        match finished.outcome.targets.get(&target.name) {
            Some(TargetOutcome::Built(answer)) => {
                let json = answer.exporter_response.get("result.json");
                let of_target = json.and_then(|json| check::of_lint(json, &target.service, file));
                findings.extend(of_target.unwrap_or_default());
            }
            Some(TargetOutcome::Failed(failure)) => left_out = Some(failure.message.clone()),
            _ => left_out = Some("they were stopped".to_owned()),
        }
    }
    Ok((findings, left_out))
}

/// Shows the changes that are safe, and makes them unless only asked to show. Returns what is left to find.
fn fixed(
    app: &App,
    args: &CheckArgs,
    project: &Project,
    found: &mut [TargetFile],
    mut findings: Vec<Finding>,
) -> Result<Vec<Finding>, CommandError> {
    let here = &app.environment.working_dir;
    for _ in 0..MOST_PASSES {
        let repairs = repairs(&findings, here).map_err(|error| {
            CommandError::new(ExitKind::Invalid, "failed to look for changes").caused_by(error)
        })?;
        if repairs.is_empty() {
            break;
        }
        let shown: String = repairs.iter().map(|repair| repair.difference.as_str()).collect();
        match args.format {
            CheckFormat::Table if !matches!(app.ci(), Ci::GitHub { .. }) => {
                app.ui.data(&format!("{shown}\n"))
            }
            // Standard output is a document, or read by a runner that takes some lines for commands.
            _ => app.ui.say(shown.trim_end()),
        }
        if args.dry_run {
            return Ok(findings);
        }
        repairs.iter().try_for_each(write)?;
        // Places have moved: what is left is looked for again.
        for (target, file, text) in found.iter_mut() {
            (*file, *text) = dockerfile(app, target)?;
        }
        findings = own(app, project, found)?;
    }
    if !findings.is_empty() {
        let left = report::counted(&findings);
        app.ui.remark(&format!("not changed: {left}, which need somebody to decide"));
    }
    Ok(findings)
}

fn write(repair: &Repair) -> Result<(), CommandError> {
    let Repair { path, text, .. } = repair;
    write::document(path, text.as_bytes(), &mut std::io::sink()).map_err(|error| {
        CommandError::new(ExitKind::Failed, format!("failed to write {}", path.display()))
            .caused_by(error)
    })
}

fn print(
    app: &App,
    args: &CheckArgs,
    project: &Project,
    findings: &[Finding],
    left_out: Option<&str>,
) {
    let here = &app.environment.working_dir;
    let columns = app.ui.data_columns();
    let workspace = match app.ci() {
        Ci::GitHub { workspace, .. } => workspace,
        _ => None,
    };
    app.ui.data(&match args.format {
        CheckFormat::Table => report::table(findings, columns),
        CheckFormat::Json => report::document(&project.name, findings, left_out),
        CheckFormat::Sarif => report::sarif(findings, here),
        CheckFormat::Github => report::annotations(findings, here, workspace.as_deref()),
    });
}

fn ended(args: &CheckArgs, findings: &[Finding]) -> Result<(), CommandError> {
    let least = match args.severity {
        CheckSeverity::Error => Severity::Error,
        CheckSeverity::Warning => Severity::Warning,
        CheckSeverity::Advice => Severity::Advice,
    };
    let bad: Vec<Finding> = findings.iter().filter(|it| it.severity >= least).cloned().collect();
    if bad.is_empty() {
        return Ok(());
    }
    let message = format!("check found {}", report::counted(&bad));
    let error = CommandError::new(ExitKind::Policy, message);
    let is_fixable = |it: &Finding| it.source == Source::Own && it.fix.is_some();
    let has_fixes = !args.fix && bad.iter().any(is_fixable);
    Err(if has_fixes { error.hint("--fix makes the changes that are safe") } else { error })
}

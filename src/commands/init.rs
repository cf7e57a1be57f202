//! `doc2md-docker init`: a folder to what is in it, to files for it.

use std::path::Path;

use crate::app::App;
use crate::cli::init::InitArgs;
use crate::compose;
use crate::error::{CommandError, ExitKind};
use crate::init::detect::{self, DetectError, Detection, UserNames};
use crate::init::files::{self, InstallFrom};
use crate::init::plan::{File, Plan};
use crate::init::tree::Tree;
use crate::init::write;
use crate::terminal::{Ui, wrap};

/// Files that compose reads instead of docker-compose.yml.
const READ_FIRST: [&str; 2] = ["compose.yaml", "compose.yml"];

/// Runs the command.
///
/// # Errors
/// There is no app in the code, or a file is in the way and `--force` is not given.
pub fn run(app: &App, args: &InitArgs) -> Result<(), CommandError> {
    let App { environment, ui, .. } = app;
    let folder = environment.working_dir.join(&args.folder);
    let failed = |what: &str, error: std::io::Error| {
        CommandError::new(ExitKind::Failed, format!("failed to {what}")).caused_by(error)
    };
    let tree = Tree::read(&folder).map_err(|error| failed("look at the folder", error))?;
    let found = detect(args, &tree, &folder)?;
    let name = project_name(app, &folder)?;
    let install = args.install_from.clone();
    let install = install.map(|(repository, revision)| InstallFrom { repository, revision });
    let files = files::files(found.as_ref(), &tree, &name, install.as_ref());
    let plan =
        plan(&folder, files, args.force).map_err(|error| failed("look at what is there", error))?;

    if !app.is_quiet() {
        say_found(found.as_ref(), &tree, &folder, ui);
    }
    ui.data(&wrap::lines(&plan.text(), ui.data_columns()));
    refuse_conflicts(&plan, args.force)?;
    for name in READ_FIRST.into_iter().filter(|name| folder.join(name).exists()) {
        ui.warn(&format!(
            "{name} is there: compose and this program read it and not docker-compose.yml"
        ));
    }
    for note in found.iter().flat_map(|found| &found.notes) {
        ui.warn(note);
    }
    if plan.to_write().next().is_none() {
        if !app.is_quiet() {
            ui.remark("everything is there already");
        }
        return Ok(());
    }
    if args.dry_run {
        ui.data(&plan.preview());
        return Ok(());
    }
    write::write(&folder, &plan).map_err(|error| failed("write the files", error))?;
    if !app.is_quiet() {
        say_next(&args.folder, ui);
    }
    Ok(())
}

/// What is in the folder; `None` where the example is to be written.
fn detect(args: &InitArgs, tree: &Tree, folder: &Path) -> Result<Option<Detection>, CommandError> {
    if args.example {
        return Ok(None);
    }
    let wanted = UserNames { api: args.api.clone(), worker: args.worker.clone() };
    let found = detect::detect(tree, &wanted).map_err(no_app)?;
    if found.is_none() && tree.has_content {
        let message = format!("there is no Python code in {}", folder.display());
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("init writes a small example into an empty folder, or with --example"));
    }
    Ok(found)
}

fn refuse_conflicts(plan: &Plan, force: bool) -> Result<(), CommandError> {
    let conflicts: Vec<&str> = plan.conflicts().map(|step| step.file.path.as_str()).collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    let message = format!("nothing was written: {} in the way", in_the_way(&conflicts));
    let may_force = !force && plan.conflicts().all(|step| step.is_replaceable);
    Err(CommandError::new(ExitKind::Failed, message).hint(match may_force {
        true => "--force overwrites files; move what you want to keep",
        false => "move it, and run init again",
    }))
}

fn say_next(folder: &Path, ui: &Ui) {
    let place = match folder == Path::new(".") {
        true => String::new(),
        false => format!("cd {} && ", folder.display()),
    };
    let text = format!(
        "\nnext: {place}doc2md-docker build\nthen: docker compose up --no-build, or doc2md-docker dev up"
    );
    ui.say(&wrap::lines(&text, ui.said_columns()));
}

fn plan(folder: &Path, files: Vec<File>, force: bool) -> std::io::Result<Plan> {
    let looked: std::io::Result<Vec<_>> = files
        .into_iter()
        .map(|file| {
            let existing = write::look(folder, &file.path)?;
            Ok((file, existing))
        })
        .collect();
    Ok(Plan::new(looked?, force))
}

fn in_the_way(conflicts: &[&str]) -> String {
    match conflicts {
        [one] => format!("{one} is"),
        all => format!("{} are", all.join(", ")),
    }
}

fn no_app(error: DetectError) -> CommandError {
    let shown = CommandError::new(ExitKind::Usage, error.to_string());
    let shown = match &error {
        DetectError::NoApp { .. } => shown
            .hint("name what to start: --api MODULE:VARIABLE for any ASGI app, --worker MODULE for Celery"),
        DetectError::Packages(refusal) => shown
            .hint(format!("make a lock and keep it with the project: {}", refusal.command)),
        DetectError::Python(_) => shown,
        DetectError::Undeclared { .. } => {
            shown.hint("name the packages in a requirements.txt: modules and packages may differ in name")
        }
        DetectError::NoModule { .. } => {
            shown.hint("name it as Python imports it, such as app.main")
        }
        DetectError::NoVariable { .. } => shown.hint("use MODULE:VARIABLE, such as app.main:app"),
    };
    shown.keeping(error)
}

/// `--project-name`, else what compose makes of the folder's name.
fn project_name(app: &App, folder: &Path) -> Result<String, CommandError> {
    let given = app.global.project.project_name.as_deref();
    if let Some(name) = given {
        if compose::normalise_name(name) == name && !name.is_empty() {
            return Ok(name.to_owned());
        }
        return Err(CommandError::new(ExitKind::Usage, format!("invalid project name `{name}`"))
            .hint("it consists of lowercase letters, digits, hyphens and underscores"));
    }
    // The folder may be `.` or lie behind `..`, and need not exist.
    let folder = fs_err::canonicalize(folder)
        .unwrap_or_else(|_| compose::join(&app.environment.working_dir, folder));
    let last = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = compose::normalise_name(&last.unwrap_or_default());
    Ok(if name.is_empty() { "doc2md".to_owned() } else { name })
}

fn say_found(found: Option<&Detection>, tree: &Tree, folder: &Path, ui: &Ui) {
    if tree.truncated {
        ui.warn(&format!("{} is large: not all of it was looked at", folder.display()));
    }
    if let Some(deep) = &tree.too_deep {
        ui.warn(&format!("{deep} lies too deep: it was not looked at"));
    }
    match found {
        None => ui.remark("a small Doc2MD to start from"),
        Some(found) => {
            for (name, service) in found.services() {
                let packages = service.requirements.files();
                ui.remark(&format!(
                    "{name}: {} in {}, packages from {}",
                    service.app, service.file, packages[0]
                ));
            }
        }
    }
}

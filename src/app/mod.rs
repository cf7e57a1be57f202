//! What every command needs, made once: the options of every command, the environment, what stops the program, the
//! streams, and the engine once somebody asks for it.
//!
//! Commands get an [`App`] and hand its parts to the rooms below, which do not know it.

mod caches;
mod ci;
mod pod_key;
mod project;

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;

use crate::builders::{self, Choice, Destination, Driver};
use crate::cli::project::ProjectArgs;
use crate::cli::{GlobalArgs, ProgressMode};
use crate::compose::Project;
use crate::engine::docker_config::DockerConfig;
use crate::engine::{Connector, ConnectorSettings};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::registry::logins::CredentialStore;
use crate::signal::Interrupt;
use crate::targets::caches::{CachePolicy, CacheSetting};
use crate::targets::{TargetOptions, TargetSet, from_compose};
use crate::terminal::Ui;
use crate::view::Progress;
use crate::view::ci::Ci;

pub use project::{read, request, settings};

/// What a command works with.
pub struct App {
    /// The options of every command.
    pub global: GlobalArgs,
    /// The environment of the process.
    pub environment: Environment,
    /// What stops the program.
    pub interrupt: Interrupt,
    /// Where everything is shown.
    pub ui: Ui,
    docker_config: OnceCell<DockerConfig>,
    connector: OnceCell<Connector>,
    /// Whether the user has read what deserves a warning about the choice of the engine.
    is_warned: Cell<bool>,
}

impl App {
    /// The parts together; the engine and docker's configuration are looked up when they are asked for.
    pub fn new(global: GlobalArgs, environment: Environment, interrupt: Interrupt, ui: Ui) -> Self {
        Self {
            global,
            environment,
            interrupt,
            ui,
            docker_config: OnceCell::new(),
            connector: OnceCell::new(),
            is_warned: Cell::new(false),
        }
    }

    /// The same with other options: an engine that they name is another one.
    #[must_use]
    pub fn with_options(&self, global: GlobalArgs) -> Self {
        let (environment, interrupt) = (self.environment.clone(), self.interrupt.clone());
        Self::new(global, environment, interrupt, self.ui.clone())
    }

    /// Whether only results are to be printed.
    pub fn is_quiet(&self) -> bool {
        self.global.quiet
    }

    /// Whether more is to be said than usual.
    pub fn is_verbose(&self) -> bool {
        self.global.verbose > 0
    }

    /// The engine that the options and the environment mean. The first call warns of what deserves it.
    ///
    /// # Errors
    /// They contradict each other, or name something that does not exist.
    pub fn connector(&self) -> Result<&Connector, CommandError> {
        let connector = self.resolved()?;
        if !self.is_warned.replace(true) {
            for notice in connector.notices() {
                self.ui.warn(notice);
            }
        }
        Ok(connector)
    }

    fn connector_settings(&self) -> ConnectorSettings {
        ConnectorSettings {
            host: self.global.host.clone(),
            context: self.global.context.clone(),
            environment: self.environment.variables.clone(),
            home: self.environment.home.clone(),
        }
    }

    /// The builders that buildx knows, and which one it would use.
    ///
    /// # Errors
    /// Those of [`Self::connector`].
    pub fn builders(&self) -> Result<builders::Catalog, CommandError> {
        Ok(builders::Catalog::new(self.connector_settings(), self.connector()?))
    }

    /// Where builds for `platforms` go, and the choice that leads there. Warns where one is not followed.
    ///
    /// # Errors
    /// `--builder` names a builder that cannot be used, or none; the address of one cannot be understood.
    pub fn destination(
        &self,
        platforms: &[String],
    ) -> Result<(Destination, Option<Choice>), CommandError> {
        let option = self.builder_option();
        let catalog = self.builders()?;
        let choice = match catalog.choose(option) {
            Ok(choice) => choice,
            // Whoever asks for nothing is not stopped by another program's file.
            Err(error) if option.is_none() => {
                self.ui.warn(&self.not_used(&error.to_string())?);
                return Ok((Destination::OwnEngine, None));
            }
            Err(error) => return Err(error.into()),
        };
        match catalog.destination(&choice, platforms)? {
            Some(destination) => Ok((destination, Some(choice))),
            None if option.is_some() => {
                let message = format!("builds do not go to {choice}: its driver is not supported");
                Err(CommandError::new(ExitKind::Usage, message)
                    .hint("those of the drivers docker, docker-container, kubernetes and remote are; `builders` lists builders"))
            }
            None => {
                self.ui.warn(&self.not_used(&format!("not used: {choice}"))?);
                Ok((Destination::OwnEngine, None))
            }
        }
    }

    /// Makes sure that `--builder` names nothing but the engine, for commands that work on engines.
    ///
    /// # Errors
    /// It names another builder, or none.
    pub fn only_the_engine(&self) -> Result<(), CommandError> {
        let Some(option) = self.builder_option() else { return Ok(()) };
        let choice = self.builders()?.choose(Some(option))?;
        if choice.is_engine {
            return Ok(());
        }
        let message = format!("this command works on docker engines, not on {choice}");
        Err(CommandError::new(ExitKind::Usage, message)
            .hint("-H, --context and DOCKER_HOST choose the engine; `builders` lists builders"))
    }

    /// The builder that `--builder` names, for commands that work on its cache; `None` where that is the engine, and without
    /// the option: what a variable or `docker buildx use` chose is for builds.
    ///
    /// # Errors
    /// It names a builder that is another engine, or one that cannot be reached by this program, or none.
    pub fn named_builder(&self) -> Result<Option<Choice>, CommandError> {
        let Some(option) = self.builder_option() else { return Ok(None) };
        let choice = self.builders()?.choose(Some(option))?;
        let refused = |why: &str| {
            let message = format!("this command does not go to {choice}: {why}");
            CommandError::new(ExitKind::Usage, message)
        };
        match &choice.builder.driver {
            _ if choice.is_engine => Ok(None),
            Driver::Docker => Err(refused("that is a docker engine")
                .hint(format!("--context {} chooses it", choice.builder.name))),
            Driver::Other(_) => Err(refused("its driver is not supported")
                .hint("those of the drivers docker-container, kubernetes and remote are; `builders` lists builders")),
            Driver::DockerContainer | Driver::Kubernetes | Driver::Remote => Ok(Some(choice)),
        }
    }

    /// The builder that builds go to without an option, where that is not the engine.
    pub fn other_builder(&self) -> Option<Choice> {
        let choice = self.builders().ok()?.choose(None).ok()?;
        let keeps_cache = matches!(
            choice.builder.driver,
            Driver::DockerContainer | Driver::Kubernetes | Driver::Remote
        );
        (keeps_cache && !choice.is_engine && self.builder_option().is_none()).then_some(choice)
    }

    /// Warns where another builder than the engine is chosen that the run does not go to.
    ///
    /// # Errors
    /// Those of [`Self::connector`].
    pub fn warn_of_other_builder(&self) -> Result<(), CommandError> {
        match self.builders()?.choose(self.builder_option()) {
            Ok(choice) if choice.is_engine => {}
            Ok(choice) => self.ui.warn(&self.not_used(&format!("not used: {choice}"))?),
            Err(error) => self.ui.warn(&self.not_used(&error.to_string())?),
        }
        Ok(())
    }

    fn builder_option(&self) -> Option<&str> {
        self.global.builder.as_deref().filter(|name| !name.is_empty())
    }

    fn not_used(&self, what: &str) -> Result<String, CommandError> {
        let engine = self.connector()?.description();
        Ok(format!("{what}; the build goes to the docker engine at {engine}"))
    }

    fn resolved(&self) -> Result<&Connector, CommandError> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let connector = Connector::resolve_with(&self.connector_settings(), self.docker_config())?;
        Ok(self.connector.get_or_init(|| connector))
    }

    /// The user's docker configuration; the default one where there is none. What of it cannot be used is among the
    /// warnings of [`Self::connector`].
    pub fn docker_config(&self) -> &DockerConfig {
        self.docker_config.get_or_init(|| {
            DockerConfig::of_user(&self.environment.variables, self.environment.home.as_deref())
        })
    }

    /// Logins to registries.
    pub fn logins(&self) -> CredentialStore {
        CredentialStore::new(self.docker_config().clone(), self.environment.variables.clone())
    }

    /// The proxies that docker's configuration has for builds on this engine, as build arguments.
    fn proxy_args(&self) -> Result<BTreeMap<String, String>, CommandError> {
        let config = self.docker_config();
        if config.proxies.is_empty() {
            return Ok(BTreeMap::new());
        }
        Ok(config.proxy_args(&self.resolved()?.address()))
    }

    /// The project that the options mean. Warns of what deserves it.
    ///
    /// # Errors
    /// A compose file that is missing or invalid, with its place.
    pub fn project(&self) -> Result<Project, CommandError> {
        self.project_of(&self.global.project, &self.environment)
    }

    /// The project that other options mean, in this or in another environment. Warns of what deserves it.
    ///
    /// # Errors
    /// Those of [`Self::project`].
    pub fn project_of(
        &self,
        options: &ProjectArgs,
        environment: &Environment,
    ) -> Result<Project, CommandError> {
        let project = read(options, environment)?;
        for warning in &project.warnings {
            self.ui.warn(warning);
        }
        Ok(project)
    }

    /// The targets that `options` choose of `project`, with docker's proxies. Warns of what deserves it.
    ///
    /// # Errors
    /// They cannot be built as the files or the options say.
    pub fn targets(
        &self,
        project: &Project,
        options: TargetOptions,
    ) -> Result<TargetSet, CommandError> {
        let options = TargetOptions { proxy_args: self.proxy_args()?, ..options };
        let set = from_compose(project, &options)?;
        for warning in &set.warnings {
            self.ui.warn(warning);
        }
        Ok(set)
    }

    /// The key by which builds of `project` find their pod among a builder's.
    pub fn pod_key(&self, project: &str) -> String {
        pod_key::of_project(&self.environment, project)
    }

    /// Which layer caches builds of `project` read and write, where `setting` keeps them.
    pub fn cache_policy(&self, project: &Project, setting: &CacheSetting) -> CachePolicy {
        caches::policy(&self.environment, &project.working_dir, &project.name, setting)
    }

    /// Which CI the program runs in.
    pub fn ci(&self) -> Ci {
        ci::detect(&self.environment)
    }

    /// Appends to the files that `GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT` name. Nothing is lost because one of them
    /// cannot be written: that is a warning.
    pub fn write_github_files(&self, page: &str, outputs: &str) {
        for warning in ci::write_github_files(&self.environment, page, outputs) {
            self.ui.warn(&warning);
        }
    }

    /// How progress is shown: `--quiet`, `--progress`, BUILDKIT_PROGRESS, COMPOSE_PROGRESS.
    ///
    /// # Errors
    /// A variable names a mode that does not exist.
    pub fn progress(&self) -> Result<Progress, CommandError> {
        if self.global.quiet {
            return Ok(Progress::Quiet);
        }
        if let Some(mode) = self.global.progress {
            return Ok(match mode {
                ProgressMode::Auto => Progress::Auto,
                ProgressMode::Tty => Progress::Tty,
                ProgressMode::Plain => Progress::Plain,
                ProgressMode::Rawjson => Progress::RawJson,
                ProgressMode::Quiet => Progress::Quiet,
            });
        }
        for name in ["BUILDKIT_PROGRESS", "COMPOSE_PROGRESS"] {
            return match self.environment.get(name) {
                None => continue,
                Some("auto") => Ok(Progress::Auto),
                Some("tty") => Ok(Progress::Tty),
                Some("plain") => Ok(Progress::Plain),
                Some("rawjson" | "json") => Ok(Progress::RawJson),
                Some("quiet" | "none") => Ok(Progress::Quiet),
                Some(other) => {
                    let message =
                        format!("{name} is {other:?}, which is not a way to show progress");
                    Err(CommandError::new(ExitKind::Usage, message)
                        .hint("use auto, tty, plain, rawjson or quiet"))
                }
            };
        }
        Ok(Progress::Auto)
    }
}

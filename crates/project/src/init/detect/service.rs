//! A service from where it starts: its code, its packages, its Python.

use super::code::{code, items, libraries, writes_relative};
use super::packages::{system_packages, written};
use super::start::Start;
use super::{DetectError, Runner, Service};
use crate::init::apps::Server;
use crate::init::interpreter;
use crate::init::requirements::Requirements;
use crate::init::tree::Tree;

impl Start {
    /// The service that starts here; `words` are names it goes by.
    pub(super) fn service(self, tree: &Tree, words: &[&str]) -> Result<Service, DetectError> {
        let mut items = items(tree, &self);
        let libraries = libraries(tree, &self, &mut items);
        let requirements = match Requirements::find(tree, &self.file, words)? {
            Some(found) => found,
            None => written(tree, &self, &items)?,
        };
        let python = interpreter::minor(tree, &requirements.folder())?;
        let system = system_packages(tree, &requirements);
        let writes_beside_code = code(tree, &items).any(|(_, text)| writes_relative(text));
        let Self { file, root, app, runner, health, .. } = self;
        let mut extra = Vec::new();
        let starters: &[&str] = match &runner {
            Runner::Web { server: Server::Asgi, .. } => &["uvicorn", "standard", "all"],
            Runner::Web { server: Server::Wsgi, .. } => &["gunicorn"],
            Runner::Celery { .. } => &["celery"],
            Runner::Rq { .. } => &["rq"],
            Runner::Dramatiq { .. } => &["dramatiq"],
            Runner::Module => &[],
        };
        if !starters.is_empty() && !starters.iter().any(|name| requirements.name(tree, name)) {
            extra.push(starters[0].to_owned());
        }
        Ok(Service {
            runner,
            app,
            health,
            file,
            root,
            libraries,
            items,
            requirements,
            extra,
            system,
            python,
            writes_beside_code,
        })
    }
}

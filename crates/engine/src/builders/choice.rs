//! The builder that a build would go to by buildx's order: the option, BUILDX_BUILDER, BUILDKIT_HOST, what
//! `docker buildx use` chose for the engine, and the engine's own builder.

use std::collections::BTreeMap;
use std::fmt;

use super::{Builder, Driver, Node, Store};
use crate::error::{CommandError, ExitKind};

/// The name of the engine's own builder where no docker context is used.
pub(super) const DEFAULT: &str = "default";
/// Of the builder that BUILDKIT_HOST means. Names of builders begin with a letter.
const UNNAMED: &str = "-";

/// Who chose a builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// `--builder`.
    Option,
    /// BUILDX_BUILDER.
    BuildxBuilder,
    /// BUILDKIT_HOST.
    BuildkitHost,
    /// `docker buildx use`.
    Use,
    /// Nobody: it is the engine's own.
    Engine,
}

impl ChosenBy {
    /// As it stands behind the name.
    pub fn clause(self) -> &'static str {
        match self {
            Self::Option => ", which --builder names",
            Self::BuildxBuilder => ", which BUILDX_BUILDER names",
            Self::Use => ", which `docker buildx use` chose",
            Self::BuildkitHost | Self::Engine => "",
        }
    }
}

/// A builder, and who chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The builder.
    pub builder: Builder,
    /// Who chose it.
    pub by: ChosenBy,
    /// Whether it is the one within the engine.
    pub is_engine: bool,
}

impl Choice {
    /// What messages call this node of it.
    pub fn node_name(&self, node: &Node) -> String {
        match self.builder.name.as_str() {
            UNNAMED => "BuildKit of BUILDKIT_HOST".to_owned(),
            name => format!("the builder `{name}`, node `{}`,", node.name),
        }
    }
}

/// A name that no builder has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} builder `{name}`{}{}", if why.is_some() { "cannot read" } else { "there is no" }, by.clause(),
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub struct UnknownBuilder {
    /// The name.
    pub name: String,
    /// Who says it.
    pub by: ChosenBy,
    /// What is wrong with its file, if it has one.
    pub why: Option<String>,
    /// The builders that there are.
    pub known: Vec<String>,
}

/// What chooses a builder.
pub(super) struct Criteria<'a> {
    /// `--builder`.
    pub(super) option: Option<&'a str>,
    /// The environment.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// The docker context of the engine; `default` where none is used.
    pub(super) context: &'a str,
    /// The engine's address.
    pub(super) address: &'a str,
    /// The docker contexts that there are, each of which is a builder, too: asked for where nothing else has the name.
    pub(super) contexts: &'a dyn Fn() -> Vec<String>,
}

/// The builder within the engine that a docker context means.
pub fn of_context(context: &str) -> Builder {
    let node = Node { name: context.into(), endpoint: context.into(), ..Node::default() };
    Builder { name: context.to_owned(), driver: Driver::Docker, nodes: vec![node] }
}

/// Chooses a builder.
///
/// # Errors
/// A name that no builder has.
pub(super) fn choose(store: &Store, criteria: &Criteria<'_>) -> Result<Choice, UnknownBuilder> {
    let variable = |name: &str| criteria.environment.get(name).filter(|it| !it.is_empty()).cloned();
    let key = if criteria.context == DEFAULT { criteria.address } else { criteria.context };
    let (name, by) = if let Some(name) = criteria.option.filter(|name| !name.is_empty()) {
        (name.to_owned(), ChosenBy::Option)
    } else if let Some(name) = variable("BUILDX_BUILDER") {
        (name, ChosenBy::BuildxBuilder)
    } else if let Some(address) = variable("BUILDKIT_HOST") {
        return Ok(Choice { builder: at(&address), by: ChosenBy::BuildkitHost, is_engine: false });
    } else if let Some(name) = store.chosen(key) {
        (name, ChosenBy::Use)
    } else {
        (criteria.context.to_owned(), ChosenBy::Engine)
    };
    if let (UNNAMED, Some(address)) = (name.as_str(), variable("BUILDKIT_HOST")) {
        return Ok(Choice { builder: at(&address), by, is_engine: false });
    }
    // buildx keeps builders under their names in lower case.
    let why = match store.builder(&name.to_lowercase()) {
        Some(Ok(builder)) => return Ok(Choice { builder, by, is_engine: false }),
        Some(Err(why)) => Some(why),
        None => None,
    };
    let is_engine = name == criteria.context;
    if is_engine || name == DEFAULT {
        return Ok(Choice { builder: of_context(&name), by, is_engine });
    }
    let contexts = (criteria.contexts)();
    if contexts.contains(&name) {
        return Ok(Choice { builder: of_context(&name), by, is_engine });
    }
    let mut known = vec![DEFAULT.to_owned()];
    known.extend(contexts);
    let is_readable = |name: &String| matches!(store.builder(name), Some(Ok(_)));
    known.extend(store.names().into_iter().filter(is_readable));
    Err(UnknownBuilder { name, by, why, known })
}

/// The builder behind an address.
fn at(address: &str) -> Builder {
    let node = Node { name: UNNAMED.into(), endpoint: address.to_owned(), ..Node::default() };
    Builder { name: UNNAMED.to_owned(), driver: Driver::Remote, nodes: vec![node] }
}

impl From<UnknownBuilder> for CommandError {
    fn from(error: UnknownBuilder) -> Self {
        let known = error.known.join(", ");
        Self::new(ExitKind::Usage, error.to_string()).hint(format!("builders are: {known}"))
    }
}

impl fmt::Display for Choice {
    /// `the builder `big` (remote), which BUILDX_BUILDER names`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Builder { name, driver, .. } = &self.builder;
        match name.as_str() {
            UNNAMED => return f.write_str("the builder that BUILDKIT_HOST names"),
            _ => write!(f, "the builder `{name}` ({})", driver.name()),
        }?;
        f.write_str(self.by.clause())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A builder `big`, and a file of another one that breaks off.
    fn chosen(option: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let home = tempfile::tempdir().unwrap();
        let instances = home.path().join("instances");
        fs_err::create_dir(&instances).unwrap();
        fs_err::write(instances.join("big"), r#"{"Name":"big","Driver":"remote"}"#).unwrap();
        fs_err::write(instances.join("half"), r#"{"Name":"#).unwrap();
        let criteria = Criteria {
            option,
            environment: &environment.collect(),
            context: DEFAULT,
            address: "unix:///d.sock",
            contexts: &|| vec!["far".to_owned()],
        };
        match choose(&Store::new(Some(home.path().to_owned())), &criteria) {
            Ok(choice) if choice.is_engine => Ok("engine".to_owned()),
            Ok(choice) => Ok(choice.to_string()),
            Err(error) => Err(format!("{error}; {}", error.known.join(" "))),
        }
    }

    #[test]
    fn the_order_is_buildxs() {
        let all = [("BUILDX_BUILDER", "far"), ("BUILDKIT_HOST", "tcp://user:secret@h")];
        let option = chosen(Some("BIG"), &all).unwrap();
        assert_eq!(option, "the builder `big` (remote), which --builder names");
        assert_eq!(
            chosen(None, &all).unwrap(),
            "the builder `far` (docker), which BUILDX_BUILDER names"
        );
        assert_eq!(chosen(None, &all[1..]).unwrap(), "the builder that BUILDKIT_HOST names");
        assert_eq!(chosen(None, &[]).unwrap(), "engine");
        // It has no name of its own, and yet one for commands that go nowhere else by themselves.
        assert_eq!(chosen(Some("-"), &all).unwrap(), "the builder that BUILDKIT_HOST names");
        assert!(chosen(Some("-"), &all[..1]).unwrap_err().starts_with("there is no builder `-`"));
        // Empty is unset, and the engine's own builder has a name.
        assert_eq!(
            chosen(Some(""), &[("BUILDX_BUILDER", ""), ("BUILDKIT_HOST", "")]).unwrap(),
            "engine"
        );
        assert_eq!(
            chosen(None, &[("BUILDX_BUILDER", "default"), ("BUILDKIT_HOST", "h")]).unwrap(),
            "engine"
        );
    }

    #[test]
    fn an_unknown_name_lists_those_that_there_are() {
        assert_eq!(
            chosen(Some("bog"), &[]).unwrap_err(),
            "there is no builder `bog`, which --builder names; default far big"
        );
        let half = chosen(None, &[("BUILDX_BUILDER", "half")]).unwrap_err();
        assert_eq!(
            half,
            "cannot read builder `half`, which BUILDX_BUILDER names: \
             EOF while parsing a value at line 1 column 8; default far big"
        );
    }
}

//! Which builds of an engine's history are of one target. Clients tell no more of it than names, labels and options.
//! Pure.

use crate::builders::Origin;
use crate::buildkit::RecordedBuild;
use crate::image_reference;
use crate::labels;

/// Options that say what is built, apart from how. `vcs:...` are buildx's, of a directory within a git repository.
const OF_A_TARGET: [&str; 6] = [
    "filename",
    "context",
    "target",
    "platform",
    "vcs:localdir:context",
    "vcs:localdir:dockerfile",
];
/// What buildx calls the target of a build that has no name.
const NAMELESS: &str = "default";

/// How one build has to do with another one's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// They are of one target.
    Same,
    /// Nothing says that they are not, and nothing that they are: neither has a name.
    Possible,
    /// They are of two.
    Other,
}

/// A build, and what buildx on this machine knows of it.
#[derive(Debug, Clone)]
pub struct BuildIdentity {
    /// As the engine lists it.
    pub build: RecordedBuild,
    /// Where it was of, if it was asked for on this machine.
    pub origin: Option<Origin>,
}

/// How `one` has to do with `other`.
pub fn kinship(one: &BuildIdentity, other: &BuildIdentity) -> Kinship {
    let option = |known: &BuildIdentity, name: &str| {
        known.build.frontend_attrs.get(name).filter(|value| !value.is_empty()).cloned()
    };
    let decided = |is_same: bool| if is_same { Kinship::Same } else { Kinship::Other };
    // The last stage and another one under one name are two targets.
    if option(one, "target") != option(other, "target") {
        return Kinship::Other;
    }
    if let (Some(one), Some(other)) = (service_of(&one.build), service_of(&other.build)) {
        return decided(one == other);
    }
    let (names, others) = (names(&one.build), names(&other.build));
    if !names.is_empty() && !others.is_empty() {
        return decided(names.iter().any(|name| others.contains(name)));
    }
    if let (Some(one), Some(other)) = (&one.origin, &other.origin) {
        let has_one_name = one.target == other.target
            || [&one.target, &other.target].into_iter().any(|name| name == NAMELESS);
        return decided(
            has_one_name && one.context == other.context && one.dockerfile == other.dockerfile,
        );
    }
    let has_same_options = OF_A_TARGET.iter().all(|name| option(one, name) == option(other, name));
    let is_named =
        |known: &BuildIdentity| service_of(&known.build).is_some() || known.origin.is_some();
    match has_same_options && !is_named(one) && !is_named(other) && names == others {
        true => Kinship::Possible,
        false => Kinship::Other,
    }
}

/// Project and service of compose that a build was for.
fn service_of(build: &RecordedBuild) -> Option<(&str, &str)> {
    Some((label(build, labels::PROJECT)?, label(build, labels::SERVICE)?))
}

/// The project of compose that a build was for.
pub fn project_of(build: &RecordedBuild) -> Option<&str> {
    label(build, labels::PROJECT)
}

fn label<'b>(build: &'b RecordedBuild, name: &str) -> Option<&'b str> {
    let label = build.frontend_attrs.get(&format!("label:{name}"))?;
    Some(label.as_str()).filter(|label| !label.is_empty())
}

/// The names that it gave its image, in full.
pub fn names(build: &RecordedBuild) -> Vec<String> {
    build.names.iter().map(|name| image_reference::full(name)).collect()
}

/// What to call the target of a build: its service, else its image, else its directory, else its Dockerfile.
pub fn title(known: &BuildIdentity) -> String {
    let BuildIdentity { build, origin } = known;
    let service = label(build, labels::SERVICE).map(str::to_owned);
    let image = || build.names.first().map(|name| image_reference::familiar(name));
    let place = || {
        let origin = origin.as_ref()?;
        let folder = origin.context.rsplit('/').find(|part| !part.is_empty())?;
        Some(match origin.dockerfile.as_str() {
            "Dockerfile" => folder.to_owned(),
            file => format!("{folder}/{file}"),
        })
    };
    let file = || build.frontend_attrs.get("filename").cloned();
    let title = service.or_else(image).or_else(place).or_else(file);
    title.unwrap_or_else(|| "Dockerfile".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(names: &[&str], attrs: &[(&str, &str)]) -> BuildIdentity {
        let build = RecordedBuild {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            frontend_attrs: attrs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..RecordedBuild::default()
        };
        BuildIdentity { build, origin: None }
    }

    fn at(target: &str, context: &str, dockerfile: &str) -> BuildIdentity {
        let [target, context, dockerfile] = [target, context, dockerfile].map(str::to_owned);
        let origin = Some(Origin { target, context, dockerfile });
        BuildIdentity { origin, ..build(&[], &[]) }
    }

    const PROJECT: &str = "label:com.docker.compose.project";
    const SERVICE: &str = "label:com.docker.compose.service";

    #[test]
    fn builds_of_one_target_are_known_by_service_or_name() {
        let compose =
            build(&["docker.io/library/p-api:latest"], &[(PROJECT, "p"), (SERVICE, "api")]);
        let other = build(&["docker.io/library/p-api"], &[(PROJECT, "p"), (SERVICE, "web")]);
        let bake = build(&["p-api", "r.example/p/api:1"], &[("build-arg:A", "1")]);
        let stage = build(&["p-api"], &[("target", "test")]);
        let nameless = build(&[], &[("filename", "D")]);
        assert_eq!(kinship(&compose, &bake), Kinship::Same);
        assert_eq!(kinship(&compose, &other), Kinship::Other);
        assert_eq!(kinship(&bake, &other), Kinship::Same);
        assert_eq!(kinship(&bake, &stage), Kinship::Other);
        assert_eq!(kinship(&bake, &nameless), Kinship::Other);
        assert_eq!(kinship(&nameless, &nameless), Kinship::Possible);
        assert_eq!(kinship(&nameless, &build(&[], &[])), Kinship::Other);
        let titles = [&compose, &bake, &nameless, &build(&[], &[])].map(title);
        assert_eq!(titles, ["api", "p-api:latest", "D", "Dockerfile"]);
    }

    #[test]
    fn builds_without_names_are_known_by_their_directory() {
        let plain = at("default", "/srv/shop", "Dockerfile");
        let bake = at("api", "/srv/shop", "Dockerfile");
        assert_eq!(kinship(&plain, &plain), Kinship::Same);
        assert_eq!(kinship(&plain, &bake), Kinship::Same);
        assert_eq!(kinship(&bake, &at("web", "/srv/shop", "Dockerfile")), Kinship::Other);
        assert_eq!(kinship(&plain, &at("default", "/srv/shop", "D2")), Kinship::Other);
        assert_eq!(kinship(&plain, &at("default", "/srv/two", "Dockerfile")), Kinship::Other);
        assert_eq!(kinship(&plain, &build(&[], &[])), Kinship::Other);
        let titles = [&plain, &at("default", "/srv/shop/", "d/D2")].map(title);
        assert_eq!(titles, ["shop", "shop/d/D2"]);
    }
}

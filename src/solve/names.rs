//! Names that several builds would give to their images: who gets them is decided before anything is built.
//!
//! Builds end in any order, so a name that two of them give would be the one's in one run and the other's in the next.

use std::collections::BTreeMap;

use crate::image_reference::{familiar, full};
use crate::labels;
use crate::solve::plan::PlannedBuild;
use crate::solve::request::{IN_ENGINE, NAME, SolveRequest};
use crate::targets::target::Target;

/// Leaves each name to the last of the builds that give it, in the order of target names. Returns what to warn of.
pub fn settle(builds: &mut [(&PlannedBuild, &mut SolveRequest)]) -> Vec<String> {
    let mut givers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, (_, request)) in builds.iter().enumerate() {
        for name in names(request) {
            let givers = givers.entry(full(name)).or_default();
            if !givers.contains(&index) {
                givers.push(index);
            }
        }
    }
    let mut warnings = Vec::new();
    for (name, mut givers) in givers {
        givers.sort_by_key(|index| builds[*index].0.target.name.clone());
        let Some((last, others)) = givers.split_last() else { continue };
        for other in others {
            let (owner, loser) = (&builds[*last].0.target, &builds[*other].0.target);
            // Services of one image and one build are a habit, and it does not matter whose it is.
            if unlabelled(owner) != unlabelled(loser) {
                warnings.push(format!(
                    "{} and {} are different builds with one image name, {}: it is the image of {}, and that of {} is left without it",
                    loser.service, owner.service, familiar(&name), owner.service, loser.service
                ));
            }
            take(builds[*other].1, &name);
        }
    }
    warnings
}

/// The references that `request` gives to images in the engine.
fn names(request: &SolveRequest) -> impl Iterator<Item = &str> {
    let exporters = request.options.exporters.iter().filter(|it| it.kind == IN_ENGINE);
    let names = exporters.filter_map(|exporter| exporter.attrs.get(NAME));
    names.flat_map(|names| names.split(',')).filter(|name| !name.is_empty())
}

fn take(request: &mut SolveRequest, name: &str) {
    for exporter in request.options.exporters.iter_mut().filter(|it| it.kind == IN_ENGINE) {
        let Some(names) = exporter.attrs.remove(NAME) else { continue };
        let kept: Vec<&str> = names.split(',').filter(|other| full(other) != name).collect();
        if !kept.is_empty() {
            exporter.attrs.insert(NAME.to_owned(), kept.join(","));
        }
    }
    request.push.retain(|other| full(other) != name);
    request.lost_names.push(name.to_owned());
}

/// What is built, whatever it is called and whichever service it is for.
fn unlabelled(target: &Target) -> Target {
    let mut target = target.unnamed();
    target.labels.remove(labels::SERVICE);
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildkit::ExporterSpec;
    use crate::solve::plan::Role;

    fn build(service: &str, dockerfile: &str) -> PlannedBuild {
        let labels = BTreeMap::from([(labels::SERVICE.to_owned(), service.to_owned())]);
        let target = Target {
            name: service.to_owned(),
            service: service.to_owned(),
            dockerfile: Some(dockerfile.to_owned()),
            labels,
            ..Target::default()
        };
        PlannedBuild {
            target,
            also_serves: Vec::new(),
            after: Vec::new(),
            node: 0,
            role: Role::Whole,
        }
    }

    fn request(names: &str) -> SolveRequest {
        let mut request = SolveRequest::default();
        let attrs = BTreeMap::from([(NAME.to_owned(), names.to_owned())]);
        request.options.exporters.push(ExporterSpec { kind: IN_ENGINE.to_owned(), attrs });
        request.push = names.split(',').map(str::to_owned).collect();
        request
    }

    fn settled(builds: &[(PlannedBuild, &str)]) -> (Vec<Vec<String>>, Vec<String>) {
        let mut requests: Vec<_> = builds.iter().map(|(_, names)| request(names)).collect();
        let mut pairs: Vec<_> =
            builds.iter().map(|(build, _)| build).zip(requests.iter_mut()).collect();
        let warnings = settle(&mut pairs);
        let left = requests.iter().map(|request| {
            let left: Vec<String> = names(request).map(str::to_owned).collect();
            assert_eq!(left, request.push, "what is not named is not pushed");
            left
        });
        (left.collect(), warnings)
    }

    #[test]
    fn the_last_by_name_gets_a_name_whatever_the_order_of_the_plan() {
        let [web, job] = [build("web", "a"), build("job", "b")];
        let expected = "job and web are different builds with one image name, app:dev: it is the image of web, and that of job is left without it";
        for (builds, left) in [
            (
                [(web.clone(), "app:dev"), (job.clone(), "docker.io/library/app:dev")],
                [vec!["app:dev"], vec![]],
            ),
            ([(job, "x,app:dev"), (web, "app:dev,y")], [vec!["x"], vec!["app:dev", "y"]]),
        ] {
            let (names, warnings) = settled(&builds);
            assert_eq!(names, left);
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn services_of_one_build_need_no_warning() {
        let (names, warnings) =
            settled(&[(build("a", "x"), "app"), (build("b", "x"), "app:latest")]);
        assert_eq!(names, [vec![], vec!["app:latest".to_owned()]]);
        assert!(warnings.is_empty());
    }
}

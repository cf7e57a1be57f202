//! A plan whose builds are shared among several nodes: a target for platforms of several of them becomes one part for each node,
//! and what puts the parts together. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::solve::plan::{BuildPlan, PlannedBuild, Role, TARGET_CONTEXT};
use crate::solve::request::RequestError;
use crate::targets::spec::Spec;
use crate::targets::target::Target;

/// Shares `plan` among `nodes` (their names): `node_of` says which one builds a platform. What names no platform is built by the
/// first.
///
/// # Errors
/// A target stands on one that its node does not build, or has an output that several nodes cannot make.
pub fn split(
    plan: &BuildPlan,
    nodes: &[String],
    node_of: impl Fn(&str) -> usize,
) -> Result<BuildPlan, RequestError> {
    let mut shared = Sharing { plan: BuildPlan::default(), nodes, builds: HashMap::new() };
    for step in &plan.steps {
        let mut shares: Vec<(usize, Vec<String>)> = Vec::new();
        for platform in &step.target.platforms {
            let node = node_of(platform);
            match shares.iter_mut().find(|(other, _)| *other == node) {
                Some((_, platforms)) => platforms.push(platform.clone()),
                None => shares.push((node, vec![platform.clone()])),
            }
        }
        match &shares[..] {
            [] => shared.whole(step, 0)?,
            [(node, _)] => shared.whole(step, *node)?,
            // A check is of the Dockerfile, whoever makes it.
            [(node, _), ..] if step.target.call.is_some() => shared.whole(step, *node)?,
            _ => shared.parts(step, shares)?,
        }
    }
    Ok(shared.plan)
}

struct Sharing<'a> {
    plan: BuildPlan,
    nodes: &'a [String],
    /// What builds a target at a node: by the target's name and the node, its index and name.
    builds: HashMap<(String, usize), (usize, String)>,
}

impl Sharing<'_> {
    fn whole(&mut self, step: &PlannedBuild, node: usize) -> Result<(), RequestError> {
        let mut built = PlannedBuild { node, ..step.clone() };
        built.after = self.link(&mut built.target, node)?;
        self.add(step, built);
        Ok(())
    }

    fn parts(
        &mut self,
        step: &PlannedBuild,
        shares: Vec<(usize, Vec<String>)>,
    ) -> Result<(), RequestError> {
        let names: Vec<&str> = shares.iter().map(|(node, _)| &*self.nodes[*node]).collect();
        check(&step.target, &names.join(" and "))?;
        let mut after = Vec::new();
        for (node, platforms) in shares {
            let mut target = step.target.clone();
            target.name = format!("{}@{}", target.name, self.nodes[node]);
            target.platforms = platforms;
            // It is shown by its name.
            target.image.clear();
            if let Some(cache) = &mut target.layer_cache {
                cache.to = Err("several nodes build it, and each would write another".to_owned());
            }
            let needed = self.link(&mut target, node)?;
            let part = PlannedBuild {
                target,
                also_serves: Vec::new(),
                after: needed,
                node,
                role: Role::Part,
            };
            after.push(self.plan.steps.len());
            self.add(step, part);
        }
        let node = self.plan.steps[after[0]].node;
        let target = Target { contexts: BTreeMap::new(), ..step.target.clone() };
        let also_serves = step.also_serves.clone();
        let index = PlannedBuild { target, also_serves, after, node, role: Role::Index };
        self.plan.steps.push(index);
        Ok(())
    }

    /// Takes note of what builds the targets of `step` at its node.
    fn add(&mut self, step: &PlannedBuild, built: PlannedBuild) {
        let at = (self.plan.steps.len(), built.target.name.clone());
        let others = step.also_serves.iter().map(|other| other.name.clone());
        for name in std::iter::once(step.target.name.clone()).chain(others) {
            self.builds.insert((name, built.node), at.clone());
        }
        self.plan.steps.push(built);
    }

    /// Has the contexts of `target` be what `node` builds. Returns which builds these are.
    fn link(&self, target: &mut Target, node: usize) -> Result<Vec<usize>, RequestError> {
        let mut after = Vec::new();
        let name = target.name.clone();
        for (context, source) in &mut target.contexts {
            let Some(needed) = source.strip_prefix(TARGET_CONTEXT) else { continue };
            let Some((index, built)) = self.builds.get(&(needed.to_owned(), node)) else {
                let why = format!(
                    "`{context}` is `{needed}`, which node `{}` does not build: both have to be for the same platforms",
                    self.nodes[node]
                );
                return Err(unsupported(&name, "additional_contexts", why));
            };
            if !after.contains(index) {
                after.push(*index);
            }
            *source = format!("{TARGET_CONTEXT}{built}");
        }
        Ok(after)
    }
}

/// What several nodes make is pushed, each part by itself, or stays in their caches (buildx `build/build.go` refuses the others, too,
/// but `local`).
fn check(target: &Target, nodes: &str) -> Result<(), RequestError> {
    let is_file = |output: &&Spec| {
        matches!(output.kind.as_str(), "oci" | "tar" | "local") || output.attrs.contains_key("dest")
    };
    let Some(output) = target.outputs.iter().find(is_file) else { return Ok(()) };
    let why = format!(
        "nodes {nodes} build it, and type={} is of one node: use --push, or one platform",
        output.kind
    );
    Err(unsupported(&target.name, "output", why))
}

fn unsupported(target: &str, key: &'static str, why: String) -> RequestError {
    RequestError::Unsupported { target: target.to_owned(), key, why }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn target(name: &str, platforms: &[&str], base: Option<&str>) -> Target {
        let contexts = base.map(|base| ("base".to_owned(), format!("target:{base}")));
        Target {
            name: name.to_owned(),
            context: format!("/{name}"),
            platforms: platforms.iter().map(|it| (*it).to_owned()).collect(),
            contexts: contexts.into_iter().collect(),
            ..Target::default()
        }
    }

    fn shown(targets: Vec<Target>) -> String {
        let plan = BuildPlan::new(targets).unwrap();
        let nodes = ["here".to_owned(), "there".to_owned()];
        let plan = match split(&plan, &nodes, |platform| usize::from(platform.contains("arm"))) {
            Ok(plan) => plan,
            Err(error) => return error.to_string(),
        };
        let step = |step: &PlannedBuild| {
            let contexts: Vec<_> = step.target.contexts.values().map(String::as_str).collect();
            format!(
                "{:?} {} {} [{}] after {:?} on {}",
                step.role,
                step.target.name,
                step.target.platforms.join(","),
                contexts.join(" "),
                step.after,
                step.node
            )
        };
        plan.steps.iter().map(step).collect::<Vec<_>>().join("\n")
    }

    const BOTH: &[&str] = &["linux/amd64", "linux/arm64", "linux/386"];

    #[test]
    fn a_part_for_each_node_and_what_puts_them_together() {
        insta::assert_snapshot!(
            shown(vec![target("web", BOTH, Some("base")), target("base", BOTH, None), target("lone", &[], None)]),
            @r"
        Part base@here linux/amd64,linux/386 [] after [] on 0
        Part base@there linux/arm64 [] after [] on 1
        Index base linux/amd64,linux/arm64,linux/386 [] after [0, 1] on 0
        Part web@here linux/amd64,linux/386 [target:base@here] after [0] on 0
        Part web@there linux/arm64 [target:base@there] after [1] on 1
        Index web linux/amd64,linux/arm64,linux/386 [] after [3, 4] on 0
        Whole lone  [] after [] on 0
        ");
        insta::assert_snapshot!(
            shown(vec![target("web", &["linux/arm64"], Some("base")), target("base", BOTH, None)]),
            @r"
        Part base@here linux/amd64,linux/386 [] after [] on 0
        Part base@there linux/arm64 [] after [] on 1
        Index base linux/amd64,linux/arm64,linux/386 [] after [0, 1] on 0
        Whole web linux/arm64 [target:base@there] after [1] on 1
        ");
    }

    #[test]
    fn what_a_node_lacks_is_named() {
        insta::assert_snapshot!(
            shown(vec![target("web", BOTH, Some("base")), target("base", &["linux/amd64"], None)]),
            @"target web@there: additional_contexts is not supported: `base` is `base`, which node `there` does not build: both have to be for the same platforms"
        );
        let outputs = vec![Spec::output("type=oci,dest=x").unwrap()];
        insta::assert_snapshot!(
            shown(vec![Target { outputs, ..target("web", BOTH, None) }]),
            @"target web: output is not supported: nodes here and there build it, and type=oci is of one node: use --push, or one platform"
        );
        let check = Target { call: Some("lint".into()), ..target("web", BOTH, None) };
        assert_eq!(shown(vec![check]).lines().count(), 1);
    }
}

//! A run that goes to a builder of several nodes: which of them build what, and what the plan becomes by that.

use std::borrow::Cow;

use futures_util::future::{join_all, try_join_all};

use super::{Run, RunSite};
use crate::builders::{Choice, Destination, NodeOffer, share};
use crate::engine::Connector;
use crate::error::CommandError;
use crate::solve::parts;
use crate::solve::plan::{BuildPlan, PlannedBuild, Role};
use crate::solve::site::{DockerEngine, Load, NodeSite, Site};

impl Run<'_> {
    /// BuildKit at `destination`, and the pod, if it is one; not `lost` where there is another one. `None` where it is an engine.
    pub(super) async fn node_site(
        &self,
        destination: Destination,
        engine: &DockerEngine,
        load: Load,
        lost: Option<&str>,
    ) -> Result<Option<(NodeSite, Option<String>)>, CommandError> {
        let engine = engine.clone();
        match destination {
            Destination::Buildkit { connector, name } => {
                Ok(Some((NodeSite { connector, name, engine, load, opened: None }, None)))
            }
            Destination::Pods(pods) => {
                let node = |connector: &Connector| NodeSite {
                    connector: connector.clone(),
                    name: pods.name.clone(),
                    engine: engine.clone(),
                    load,
                    opened: None,
                };
                let failed = |connector: &Connector, error| node(connector).unreachable(error);
                let pod = self.open_pod(&pods, lost, failed).await?;
                let site = NodeSite { opened: Some(Box::new(pod.opened)), ..node(&pod.connector) };
                Ok(Some((site, Some(pod.name))))
            }
            Destination::OwnEngine | Destination::Engine(_) | Destination::Nodes(_) => Ok(None),
        }
    }

    /// Shares the plan among the nodes of a builder, as buildx does: a platform is built where the user gave it, else by the first
    /// node whose BuildKit has it, for which all are asked. Nodes that build nothing are left alone.
    pub(super) async fn share(
        &self,
        offers: Vec<NodeOffer>,
        platforms: &[String],
        (engine, load, choice): (&DockerEngine, Load, Option<&Choice>),
    ) -> Result<RunSite, CommandError> {
        let names: Vec<String> = offers.iter().map(|offer| offer.name.clone()).collect();
        let given = given(&offers).await;
        let all_at_one = |offer: &Vec<String>| share(platforms, std::slice::from_ref(offer));
        let one = given.iter().position(|it| all_at_one(it).iter().all(Option::is_some));
        let mut shares = match one {
            Some(_) => vec![one; platforms.len()],
            None => share(platforms, &given),
        };
        let mut opened: Vec<Option<NodeSite>> = vec![None; offers.len()];
        if shares.iter().any(Option::is_none) {
            let sites = offers.iter().map(|offer| self.open(offer, engine, load));
            let sites = try_join_all(sites).await?;
            let told = |site: &Option<NodeSite>| {
                let opened = site.as_ref().and_then(|site| site.opened.as_ref());
                opened.map(|opened| opened.1.platforms.clone()).unwrap_or_default()
            };
            let told: Vec<Vec<String>> = sites.iter().map(told).collect();
            let others = share(platforms, &told);
            shares = shares.into_iter().zip(others).map(|(given, told)| given.or(told)).collect();
            opened = sites;
        }
        let node_of = |platform: &str| {
            let at = platforms.iter().position(|it| it == platform);
            at.and_then(|at| shares[at]).unwrap_or_default()
        };
        let mut plan = parts::split(&self.plan, &names, node_of)?;
        let used = renumber(&mut plan);
        let mut nodes = Vec::new();
        for node in used {
            let site = match opened[node].take() {
                Some(site) => Some(site),
                None => {
                    let destination = offers[node].destination.clone();
                    self.node_site(destination, engine, load, None).await?.map(|(site, _)| site)
                }
            };
            nodes.extend(site);
        }
        self.announce_nodes(&plan, &nodes, choice);
        let plan = Some(Cow::Owned(plan));
        let site = match nodes.len() {
            1 => Site::Node(nodes.remove(0)),
            _ => Site::Nodes(nodes),
        };
        Ok(RunSite { site, pod: None, plan })
    }

    /// Says which node builds what.
    fn announce_nodes(&self, plan: &BuildPlan, nodes: &[NodeSite], choice: Option<&Choice>) {
        let by = choice.map(|choice| choice.by.clause()).unwrap_or_default();
        for (number, node) in nodes.iter().enumerate() {
            let mut platforms: Vec<&str> = Vec::new();
            let is_its = |step: &&PlannedBuild| step.node == number && step.role != Role::Index;
            for platform in plan.steps.iter().filter(is_its).flat_map(|it| &it.target.platforms) {
                if !platforms.contains(&platform.as_str()) {
                    platforms.push(platform);
                }
            }
            let what = match platforms.len() {
                0 => "what names no platform".to_owned(),
                _ => platforms.join(", "),
            };
            self.announce(&format!("building {what} on {}{by}", node.connector.peer()));
        }
    }

    async fn open(
        &self,
        offer: &NodeOffer,
        engine: &DockerEngine,
        load: Load,
    ) -> Result<Option<NodeSite>, CommandError> {
        let found = self.node_site(offer.destination.clone(), engine, load, None).await?;
        let Some((mut site, _)) = found else { return Ok(None) };
        site.opened = Some(Box::new(site.introduce().await?));
        Ok(Some(site))
    }
}

/// The platforms that each node was given: where all are pods that run, by the annotation of these, which goes before what the
/// builder says, as with buildx (`builder/node.go`). What a cluster does not tell is told where the node is opened.
async fn given(offers: &[NodeOffer]) -> Vec<Vec<String>> {
    let of_builder = || offers.iter().map(|offer| offer.given.clone()).collect();
    let told = offers.iter().map(async |offer| match &offer.destination {
        Destination::Pods(pods) => pods.platforms().await.ok().flatten(),
        _ => None,
    });
    let told: Option<Vec<Vec<String>>> = join_all(told).await.into_iter().collect();
    let Some(told) = told else { return of_builder() };
    let both = told.into_iter().zip(offers);
    both.map(|(told, offer)| if told.is_empty() { offer.given.clone() } else { told }).collect()
}

/// Has the steps of `plan` count only those nodes that build something. Returns these.
fn renumber(plan: &mut BuildPlan) -> Vec<usize> {
    let mut used: Vec<usize> = plan.steps.iter().map(|step| step.node).collect();
    used.sort_unstable();
    used.dedup();
    for step in &mut plan.steps {
        step.node = used.iter().position(|node| *node == step.node).unwrap_or_default();
    }
    used
}

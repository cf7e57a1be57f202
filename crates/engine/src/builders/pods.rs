//! A node of buildx's kubernetes driver: the pods of its deployment, and which of them a build goes to.
//!
//! Source: buildx `driver/kubernetes`. Deployments are made and changed by buildx alone.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::SignedDuration;

use super::cluster::{self, Pod, Workload};
use super::{Node, ring};
use crate::engine::{ConnectError, ConnectErrorKind, Connector, ConnectorSettings, Kubectl};

/// How long pods that start are waited for, as by buildx.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The pods of a node.
#[derive(Debug, Clone)]
pub struct Pods {
    kubectl: Kubectl,
    /// The builder's name, for hints.
    builder: String,
    /// `BUILDER/NODE`.
    pub name: String,
    kind: &'static str,
    workload: String,
    /// Whether any pod will do.
    is_random: bool,
    /// How long pods that start are to be waited for.
    pub timeout: Duration,
}

/// The pod that a build goes to.
#[derive(Debug, Clone)]
pub struct ChosenPod {
    /// Its name.
    pub name: String,
    /// How BuildKit in it is reached.
    pub connector: Connector,
}

/// What a build finds.
#[derive(Debug)]
pub enum Choosing {
    /// The pod that it goes to.
    Chosen(ChosenPod),
    /// No pod is ready, and there are to be some.
    Starting(StartingPods),
}

/// Pods of which none is ready.
#[derive(Debug)]
pub struct StartingPods {
    /// Which there are and what each waits for, as a fragment.
    pub told: String,
    /// The error where nobody waits any longer.
    pub error: ConnectError,
}

impl Pods {
    /// Those of `node` of the builder `builder`. Messages call the node `called`. Nobody is asked yet.
    ///
    /// # Errors
    /// Its endpoint, name or options cannot be understood.
    pub(super) fn new(
        builder: &str,
        node: &Node,
        called: &str,
        user: &ConnectorSettings,
    ) -> Result<Self, ConnectError> {
        let wrong = |what: String| {
            ConnectError::new(ConnectErrorKind::Settings, format!("{called} {what}"))
                .hint(format!("`docker buildx inspect {builder}` shows its options"))
        };
        let option =
            |name: &str| node.options.get(name).map(String::as_str).filter(|it| !it.is_empty());
        let is_random = match option("loadbalance") {
            None | Some("sticky") => false,
            Some("random") => true,
            Some(other) => return Err(wrong(format!("has the unknown `loadbalance={other}`"))),
        };
        let timeout = match option("timeout").map(|text| (text, duration(text))) {
            None => TIMEOUT,
            Some((_, Some(timeout))) => timeout,
            Some((text, None)) => {
                return Err(wrong(format!("has `timeout={text}`, which is no duration")));
            }
        };
        // With a volume of their own, pods are those of a stateful set.
        let kind = match option("persistent-volume-claim.requests.storage") {
            Some(_) => "statefulset",
            None => "deployment",
        };
        // buildx goes by the node's name, not by the `deployment` of its endpoint.
        let workload = node.name.replace('_', "-");
        let is_plain = workload.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        if !is_plain || !workload.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(wrong(format!("has a name that no {kind} has")));
        }
        let kubeconfig = kubeconfig(&node.endpoint);
        let environment = &user.environment;
        Ok(Self {
            kubectl: Kubectl::new(called, kubeconfig.as_deref(), option("namespace"), environment)?,
            name: format!("{builder}/{}", node.name),
            builder: builder.to_owned(),
            kind,
            workload,
            is_random,
            timeout,
        })
    }

    /// All of them, by their names.
    ///
    /// # Errors
    /// kubectl cannot ask, the deployment is not there, or the answer cannot be understood.
    pub async fn list(&self) -> Result<Vec<Pod>, ConnectError> {
        let Workload { selector, replicas } = self.workload().await?;
        if replicas == 0 {
            let Self { kind, workload, .. } = self;
            return Err(self
                .failed(ConnectErrorKind::NotThere, "it is scaled to 0 pods")
                .hint(format!("`kubectl scale {kind}/{workload} --replicas=1` starts one")));
        }
        let selector = format!("--selector={selector}");
        let json = self.kubectl.get(&["pods", &selector], &self.place()).await?;
        cluster::pods(&json).map_err(|why| self.not_understood(&why))
    }

    async fn workload(&self) -> Result<Workload, ConnectError> {
        let arguments = [self.kind, &self.workload, "--ignore-not-found"];
        let json = self.kubectl.get(&arguments, &self.place()).await?;
        if json.trim_ascii().is_empty() {
            let why = format!("there is no such {}", self.kind);
            return Err(self.failed(ConnectErrorKind::NotThere, why).hint(self.bootstrap()));
        }
        cluster::workload(&json).map_err(|why| self.not_understood(&why))
    }

    /// Chooses the pod that `key` leads to, as buildx does, or any where the builder says so. `lost` is left out where there is
    /// another one. As long as none is ready buildx goes to none; once one is, all that run count.
    ///
    /// # Errors
    /// Those of [`Self::list`].
    pub async fn choose(&self, key: &str, lost: Option<&str>) -> Result<Choosing, ConnectError> {
        let all = self.list().await?;
        if !all.iter().any(|pod| pod.trouble.is_none()) {
            return Ok(Choosing::Starting(self.starting(&all)));
        }
        let running = all.iter().filter(|pod| pod.is_running);
        let by_chance = RandomState::new().hash_one(key).to_string();
        let key = if self.is_random { &by_chance } else { key };
        let order = ring::order(running.map(|pod| pod.name.as_str()), key);
        let name = order.iter().find(|name| Some(**name) != lost).or(order.first());
        let Some(pod) = name.and_then(|name| all.iter().find(|pod| pod.name == *name)) else {
            return Ok(Choosing::Starting(self.starting(&all)));
        };
        let connector = self.kubectl.pod(&pod.name, &pod.container)?;
        Ok(Choosing::Chosen(ChosenPod { name: pod.name.clone(), connector }))
    }

    /// The platforms that the pods that run were given by their annotation; `None` where none runs.
    ///
    /// # Errors
    /// Those of [`Self::list`].
    pub async fn platforms(&self) -> Result<Option<Vec<String>>, ConnectError> {
        let all = self.list().await?;
        let mut running = all.into_iter().filter(|pod| pod.is_running).peekable();
        let is_there = running.peek().is_some();
        Ok(is_there.then(|| running.flat_map(|pod| pod.platforms).collect()))
    }

    /// How BuildKit in a pod is reached.
    pub(super) fn inside(&self, pod: &Pod) -> Result<Connector, ConnectError> {
        self.kubectl.pod(&pod.name, &pod.container)
    }

    fn starting(&self, all: &[Pod]) -> StartingPods {
        let Self { kind, workload, .. } = self;
        let told: Vec<_> = all.iter().take(3).map(with_trouble).collect();
        let told = match all.len() {
            0 => "it has none yet".to_owned(),
            _ => told.join("; "),
        };
        let error = self
            .failed(ConnectErrorKind::NotThere, format!("none of its pods is ready: {told}"))
            .hint(self.bootstrap())
            .hint(format!("`kubectl describe {kind}/{workload}` says what it waits for"));
        StartingPods { told, error }
    }

    fn bootstrap(&self) -> String {
        let kind = self.kind;
        format!(
            "`docker buildx inspect --bootstrap {}` makes the {kind} and waits for its pods",
            self.builder
        )
    }

    /// Deployment or stateful set, for messages.
    pub fn place(&self) -> String {
        format!("{} `{}`", self.kind, self.workload)
    }

    fn not_understood(&self, why: &str) -> ConnectError {
        let what = format!("what kubectl says of it is not understood: {why}");
        self.failed(ConnectErrorKind::Other, what).hint("which release is `kubectl version`?")
    }

    fn failed(&self, kind: ConnectErrorKind, why: impl std::fmt::Display) -> ConnectError {
        let place = self.kubectl.place(&self.place());
        ConnectError::new(kind, format!("cannot reach {place}: {why}"))
    }
}

/// A duration as Go writes it; `None` where it is none, or negative.
fn duration(text: &str) -> Option<Duration> {
    match text {
        "0" => Some(Duration::ZERO),
        text => text.parse::<SignedDuration>().ok()?.try_into().ok(),
    }
}

/// A pod and why it is not ready.
fn with_trouble(pod: &Pod) -> String {
    match &pod.trouble {
        Some(why) => format!("{} ({why})", pod.name),
        None => pod.name.clone(),
    }
}

/// `kubernetes:///BUILDER?deployment=NODE&kubeconfig=PATH`; kubectl's own file where nothing is named.
fn kubeconfig(endpoint: &str) -> Option<String> {
    let (_, query) = endpoint.strip_prefix("kubernetes://")?.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, path) = pairs.find(|(key, _)| key == "kubeconfig")?;
    Some(path.into_owned()).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pods(name: &str, options: &[(&str, &str)]) -> Result<Pods, String> {
        let node = Node {
            name: name.to_owned(),
            endpoint: "kubernetes:///kube?deployment=other&kubeconfig=%2Fk".to_owned(),
            options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Node::default()
        };
        let user = ConnectorSettings::default();
        Pods::new("kube", &node, "the builder `kube`", &user).map_err(|error| error.message)
    }

    #[test]
    fn the_deployment_is_called_after_the_node() {
        let plain = pods("loving_mendeleev0", &[]).unwrap();
        assert_eq!(plain.place(), "deployment `loving-mendeleev0`");
        assert_eq!(plain.name, "kube/loving_mendeleev0");
        assert!(!plain.is_random);
        let claimed =
            [("persistent-volume-claim.requests.storage", "10Gi"), ("loadbalance", "random")];
        let claimed = pods("k0", &claimed).unwrap();
        assert_eq!(claimed.place(), "statefulset `k0`");
        assert_eq!(claimed.timeout, Duration::from_secs(120));
        for (text, seconds) in [("300s", 300), ("2m", 120), ("1m30s", 90), ("1.5h", 5400), ("0", 0)]
        {
            let timeout = pods("k0", &[("timeout", text)]).unwrap().timeout;
            assert_eq!(timeout, Duration::from_secs(seconds), "{text}");
        }
        assert!(claimed.is_random);
        for (name, options, wrong) in [
            ("-v", &[][..], "the builder `kube` has a name that no deployment has"),
            ("", &[], "the builder `kube` has a name that no deployment has"),
            ("a b", &[], "the builder `kube` has a name that no deployment has"),
            (
                "k0",
                &[("loadbalance", "best")],
                "the builder `kube` has the unknown `loadbalance=best`",
            ),
            (
                "k0",
                &[("timeout", "soon")],
                "the builder `kube` has `timeout=soon`, which is no duration",
            ),
            ("k0", &[("namespace", "-A")], "the endpoint of the builder `kube` names no namespace"),
        ] {
            assert_eq!(pods(name, options).unwrap_err(), wrong);
        }
    }

    #[test]
    fn the_endpoint_names_kubectls_configuration() {
        assert_eq!(
            kubeconfig("kubernetes:///k?deployment=d&kubeconfig=%2Fhome%2Fme%2Fa+b").unwrap(),
            "/home/me/a b"
        );
        assert_eq!(kubeconfig("kubernetes:///k?deployment=d&kubeconfig="), None);
        assert_eq!(kubeconfig("kubernetes:///k"), None);
        assert_eq!(kubeconfig("default"), None);
    }
}

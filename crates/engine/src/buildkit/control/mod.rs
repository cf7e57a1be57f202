//! The Control API: Solve and Status.

mod cache;
mod content;
mod history;
mod recorded;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::convert;
use super::gc_policy::GcPolicy;
use super::linked::{self, LinkedResult};
use super::solve::{self, CacheEntry, SolveError, SolveOptions};
use super::subrequest;
use super::transport::{self, FIRST_ANSWER, TransportError};
use super::watched::Reason;
use super::within;
use crate::engine::Connector;
use crate::progress::{SolveStatus, StatusBounds};

pub use history::{ListedBuilds, PastBuild, PastBuilds};
pub use recorded::RecordedBuild;

/// How long the engine may take to know a build's ref before Status gives up.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// How long the first status of a solve that failed at once may be on its way.
const STATUS_GRACE: Duration = Duration::from_millis(200);

/// Under which label a worker tells what `host-gateway` stands for (moby, worker labels).
const HOST_GATEWAY_LABEL: &str = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

/// Label of a worker whose results can become images and files of every kind. BuildKit within a docker engine has it on the
/// containerd store alone: with a graph driver it makes images of that engine and nothing else.
const SNAPSHOTTER_LABEL: &str = "org.mobyproject.buildkit.worker.snapshotter";

/// Label of a worker that tells who runs its steps: `oci` is BuildKit itself, else it is containerd, whose images others unpack.
const EXECUTOR_LABEL: &str = "org.mobyproject.buildkit.worker.executor";
/// Snapshotters whose layers are all on the disk of BuildKit: others leave some at their registry.
const OWN_SNAPSHOTTERS: [&str; 3] = ["overlayfs", "native", "fuse-overlayfs"];

/// What BuildKit tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its release; `None` where it does not tell.
    pub version: Option<String>,
    /// Platforms that it builds for, the machine's own first.
    pub platforms: Vec<String>,
    /// Id of its first worker, which stays the same.
    pub worker: String,
    /// Whether it can make images of a docker engine with a graph driver only, in which it runs.
    pub is_bound_to_engine: bool,
    /// Whether it alone unpacks the layers that its steps stand on: no docker engine and no containerd does it for others.
    pub unpacks_alone: bool,
}

/// What a step made, as the cache has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedResult {
    /// The step, in BuildKit's words.
    pub description: String,
    /// What it adds to what it stands on.
    pub bytes: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl From<pb::UsageRecord> for CachedResult {
    fn from(record: pb::UsageRecord) -> Self {
        Self {
            description: record.description,
            bytes: u64::try_from(record.size).unwrap_or_default(),
            created: convert::time(record.created_at),
        }
    }
}

/// BuildKit's Control API inside the engine. Cheap to clone: clones share one connection.
#[derive(Clone)]
pub struct Control {
    channel: Channel,
    client: pb::control_client::ControlClient<Channel>,
}

impl Control {
    /// Opens the connection.
    ///
    /// # Errors
    /// The engine could not be reached, or has no BuildKit for us.
    pub async fn connect(connector: &Connector) -> Result<Self, TransportError> {
        let channel = within::channel(connector).await?;
        let client = solve::client(channel.clone());
        Ok(Self { channel, client })
    }

    /// Opens the connection to what speaks BuildKit's gRPC itself, and asks it what it is, in [`FIRST_ANSWER`] at most.
    ///
    /// # Errors
    /// It could not be reached, or what answers is not BuildKit.
    pub async fn introduce(connector: &Connector) -> Result<(Self, About), TransportError> {
        let opened = async {
            let reason = Reason::default();
            let channel = transport::native(connector, &reason).await?;
            let client = solve::client(channel.clone());
            let control = Self { channel, client };
            let about = control.ask_about().await;
            let about = about.map_err(|status| TransportError::unanswered(&status, &reason))?;
            Ok((control, about))
        };
        tokio::time::timeout(FIRST_ANSWER, opened).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", FIRST_ANSWER.as_secs());
            Err(TransportError::NotBuildkit(why))
        })
    }

    /// What BuildKit tells of itself.
    ///
    /// # Errors
    /// What answers is not BuildKit, or no longer there.
    pub async fn about(&self) -> Result<About, SolveError> {
        Ok(self.ask_about().await?)
    }

    async fn ask_about(&self) -> Result<About, tonic::Status> {
        let mut client = self.client.clone();
        let workers = client.list_workers(pb::ListWorkersRequest::default()).await?.into_inner();
        // BuildKit before 0.11 (Docker before 23) has no such method.
        let info = client.info(pb::InfoRequest {}).await.ok();
        let version = info.and_then(|info| info.into_inner().buildkit_version);
        let worker = workers.record.first().map(|worker| worker.id.clone()).unwrap_or_default();
        let labels = || workers.record.iter().map(|worker| &worker.labels);
        let is_bound_to_engine = !labels().any(|labels| labels.contains_key(SNAPSHOTTER_LABEL));
        let unpacks_alone = !workers.record.is_empty() && labels().all(unpacks_alone);
        let mut platforms: Vec<String> = Vec::new();
        for platform in workers.record.into_iter().flat_map(|worker| worker.platforms) {
            let parts = [platform.os, platform.architecture, platform.variant];
            let name = parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("/");
            if !platforms.contains(&name) {
                platforms.push(name);
            }
        }
        let version = version.map(|it| it.version);
        Ok(About { version, platforms, worker, is_bound_to_engine, unpacks_alone })
    }

    /// The sum of its build cache.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn cache_bytes(&self) -> Result<u64, SolveError> {
        let usage = self.client.clone().disk_usage(pb::DiskUsageRequest::default()).await?;
        let sizes = usage.into_inner().record.into_iter().map(|it| u64::try_from(it.size));
        Ok(sizes.map(Result::unwrap_or_default).sum())
    }

    /// What steps made that is in its cache now. Cache mounts are not asked for: a build that wants one at that moment would
    /// get another one.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn results(&self) -> Result<Vec<CachedResult>, SolveError> {
        let filter = vec!["type==regular".to_owned()];
        let request = pb::DiskUsageRequest { filter, ..pb::DiskUsageRequest::default() };
        let usage = self.client.clone().disk_usage(request).await?.into_inner();
        Ok(usage.record.into_iter().map(CachedResult::from).collect())
    }

    /// Builds; answers what the exporters said, or the frontend where it is asked a question.
    /// Dropping the future cancels the build: the engine kills its running steps at once.
    ///
    /// # Errors
    /// The build failed, or the connection was lost.
    pub async fn solve(
        &self,
        options: SolveOptions,
    ) -> Result<BTreeMap<String, String>, SolveError> {
        let solved = if subrequest::is_one(&options) {
            subrequest::ask(self.channel.clone(), options).await
        } else {
            let response = self.client.clone().solve(solve::request(options)).await;
            response.map(|response| response.into_inner().exporter_response.into_iter().collect())
        };
        solved.map_err(SolveError::from)
    }

    /// The channel, for a session within it.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A solve of the house's own, whose answer does not matter.
    pub(super) async fn request(&self, request: pb::SolveRequest) -> Result<(), tonic::Status> {
        self.client.clone().solve(request).await.map(|_| ())
    }

    /// The same for a solve whose result others build on: they are solved with it, see [`SolveOptions::link`], and it is
    /// dropped when they have ended. The session has to stay open as long.
    ///
    /// # Errors
    /// As those of [`Control::solve`].
    pub async fn solve_linked(
        &self,
        options: SolveOptions,
    ) -> Result<(BTreeMap<String, String>, LinkedResult), SolveError> {
        let channel = self.channel.clone();
        let solved = if subrequest::is_one(&options) {
            subrequest::ask_linked(channel, options).await
        } else {
            linked::solve(channel, options).await
        };
        solved.map_err(SolveError::from)
    }

    /// Exports the cache of what was built and is still kept, under `build_ref`; returns what the exporter said. The engine
    /// does not remember it as a build.
    ///
    /// # Errors
    /// It could not be written, or the connection was lost.
    pub async fn export_cache(
        &self,
        built: &LinkedResult,
        session: String,
        build_ref: String,
        to: CacheEntry,
    ) -> Result<BTreeMap<String, String>, SolveError> {
        let channel = self.channel.clone();
        Ok(linked::export_cache(channel, built, session, build_ref, to).await?)
    }

    /// The build graph of `options`, of which nothing is built.
    ///
    /// # Errors
    /// The frontend failed, or the connection was lost.
    pub async fn graph(&self, options: SolveOptions) -> Result<LinkedResult, SolveError> {
        Ok(subrequest::graph(self.channel.clone(), options).await?)
    }

    /// The address that `host-gateway` stands for; `None` where the engine does not tell one (20.10).
    pub async fn host_gateway(&self) -> Option<String> {
        let workers = self.client.clone().list_workers(pb::ListWorkersRequest::default()).await;
        let workers = workers.ok()?.into_inner().record;
        workers.into_iter().find_map(|mut worker| worker.labels.remove(HOST_GATEWAY_LABEL))
    }

    /// Whether what it makes becomes blobs, as in the containerd store; with a graph driver, layers stay files.
    pub async fn makes_blobs(&self) -> bool {
        let workers = self.client.clone().list_workers(pb::ListWorkersRequest::default()).await;
        let mut workers = workers.map(|it| it.into_inner().record).unwrap_or_default().into_iter();
        workers.any(|worker| worker.labels.contains_key(SNAPSHOTTER_LABEL))
    }

    /// The rules of the engine's garbage collection in the order in which they apply; `None` where
    /// it does not tell.
    pub async fn gc_policies(&self) -> Option<Vec<GcPolicy>> {
        let workers = self.client.clone().list_workers(pb::ListWorkersRequest::default()).await;
        // The engine has one worker.
        let worker = workers.ok()?.into_inner().record.into_iter().next()?;
        Some(worker.gc_policy.into_iter().map(GcPolicy::from).collect())
    }

    /// Sends the statuses of build `build_ref` until the engine ends the stream or the receiver
    /// goes. Statuses are a by-product: a lost stream is not an error, the solve tells. `refused`
    /// says that the solve has failed: if nothing has come by then, it was never registered.
    pub async fn follow(
        &self,
        build_ref: String,
        to: mpsc::Sender<SolveStatus>,
        refused: CancellationToken,
    ) {
        let seen = AtomicBool::new(false);
        let never_registered = async {
            refused.cancelled().await;
            tokio::time::sleep(STATUS_GRACE).await;
            if seen.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.forward_statuses(&build_ref, &to, &seen) => {}
            () = never_registered => {}
        }
    }

    async fn forward_statuses(
        &self,
        build_ref: &str,
        to: &mpsc::Sender<SolveStatus>,
        seen: &AtomicBool,
    ) {
        let started = tokio::time::Instant::now();
        let mut client = self.client.clone();
        loop {
            let request = pb::StatusRequest { r#ref: build_ref.to_owned() };
            if let Ok(stream) = client.status(request).await {
                let mut stream = stream.into_inner();
                let mut bounds = StatusBounds::default();
                while let Ok(Some(message)) = stream.message().await {
                    seen.store(true, Ordering::Relaxed);
                    let mut status = convert::solve_status(message);
                    bounds.apply(&mut status);
                    if to.send(status).await.is_err() {
                        return;
                    }
                }
            }
            // Status may be asked before Solve has registered the ref: engines up to 23 then
            // answer "no such job" at once, later ones after seconds.
            if seen.load(Ordering::Relaxed) || to.is_closed() || started.elapsed() > STATUS_PATIENCE
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}

/// Whether a worker with these labels unpacks layers for its own steps alone.
fn unpacks_alone(labels: &HashMap<String, String>) -> bool {
    let label = |name: &str| labels.get(name).map(String::as_str);
    label(EXECUTOR_LABEL) == Some("oci")
        && label(SNAPSHOTTER_LABEL).is_some_and(|name| OWN_SNAPSHOTTERS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buildkit_by_itself_unpacks_alone() {
        let labels = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let snapshots = |name| [(EXECUTOR_LABEL, "oci"), (SNAPSHOTTER_LABEL, name)];
        assert!(unpacks_alone(&labels(&snapshots("overlayfs"))));
        assert!(!unpacks_alone(&labels(&snapshots("stargz"))));
        let in_containerd = [(EXECUTOR_LABEL, "containerd"), (SNAPSHOTTER_LABEL, "overlayfs")];
        assert!(!unpacks_alone(&labels(&in_containerd)));
        // A docker engine on a graph driver tells neither.
        assert!(!unpacks_alone(&labels(&[(HOST_GATEWAY_LABEL, "172.17.0.1")])));
    }
}

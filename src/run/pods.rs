//! A run that goes to one of a builder's pods: which one, and another one, once, where that is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Ready, Run, RunResult};
use crate::app::App;
use crate::builders::{Choosing, ChosenPod, Pods};
use crate::buildkit::{About, Control, TransportError};
use crate::engine::{ConnectError, ConnectErrorKind, Connector};
use crate::error::CommandError;
use crate::progress::FailureKind;
use crate::progress::outcome::TargetOutcome;
use crate::solve::request::Export;

/// How long a pod gets that is asked twice, being the only one.
const SHORT_REST: Duration = Duration::from_secs(1);

/// How long after each answer the cluster is asked again whether a pod is ready: each question is two programs.
const BETWEEN: Duration = Duration::from_secs(1);

/// A pod whose BuildKit has answered.
pub(super) struct OpenPod {
    /// Its name.
    pub(super) name: String,
    /// How it is reached.
    pub(super) connector: Connector,
    /// The connection, and what BuildKit said.
    pub(super) opened: (Control, About),
}

impl Run<'_> {
    /// Opens the pod of the run's key; another one, once, where that cannot be reached. `lost` is left out where it can be.
    pub(super) async fn open_pod(
        &self,
        pods: &Pods,
        lost: Option<&str>,
        failed: impl Fn(&Connector, TransportError) -> CommandError,
    ) -> Result<OpenPod, CommandError> {
        let key = self.app.pod_key(self.project);
        let first = self.ready_pod(pods, &key, lost).await?;
        let error = match Control::introduce(&first.connector).await {
            Ok(opened) => return Ok(open(first, opened)),
            Err(error) => failed(&first.connector, error),
        };
        if !may_be_the_pod(&error) {
            return Err(error);
        }
        let second = self.ready_pod(pods, &key, Some(&first.name)).await?;
        if second.name == first.name {
            tokio::time::sleep(SHORT_REST).await;
        }
        let name = &second.name;
        self.app.ui.warn(&format!("{error}; the pod `{name}` is tried next, and no other one"));
        match Control::introduce(&second.connector).await {
            Ok(opened) => Ok(open(second, opened)),
            Err(error) => Err(failed(&second.connector, error)),
        }
    }

    /// The pod of the key. Where none is ready yet it is waited for, as by buildx, and what they wait for is told once.
    async fn ready_pod(
        &self,
        pods: &Pods,
        key: &str,
        lost: Option<&str>,
    ) -> Result<ChosenPod, CommandError> {
        let begun = Instant::now();
        let mut told = BTreeSet::new();
        loop {
            let starting = match pods.choose(key, lost).await? {
                Choosing::Chosen(pod) => return Ok(pod),
                Choosing::Starting(starting) => starting,
            };
            let left = pods.timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(starting.error.into());
            }
            if told.insert(starting.told.clone()) {
                let (place, what) = (pods.place(), starting.told);
                let left = left.as_secs_f64().ceil();
                self.announce(&format!(
                    "waiting {left} s at most for a pod of the {place}: {what}"
                ));
            }
            tokio::time::sleep(BETWEEN.min(left)).await;
        }
    }
}

fn open(pod: ChosenPod, opened: (Control, About)) -> OpenPod {
    OpenPod { name: pod.name, connector: pod.connector, opened }
}

/// Whether another pod may be better off: not where kubectl is not allowed to do it, or is not there.
fn may_be_the_pod(error: &CommandError) -> bool {
    let kind = error.find::<ConnectError>().map(|error| error.kind);
    !matches!(kind, Some(ConnectErrorKind::PermissionDenied | ConnectErrorKind::Settings))
}

impl Ready<'_> {
    /// Carries it out; once more, in another pod if there is one, where the run goes to a pod and that was lost.
    ///
    /// # Errors
    /// Those of [`Run::carry_out`].
    pub async fn carry_out(self) -> Result<RunResult, CommandError> {
        let Some(pod) = self.pod.clone().filter(|_| self.may_repeat()) else {
            return self.carry_out_once().await;
        };
        let again = self.run.clone();
        let finished = self.carry_out_once().await?;
        let App { interrupt, ui, .. } = again.app;
        let Some(lost) = loss(&finished).filter(|_| !interrupt.token().is_cancelled()) else {
            return Ok(finished);
        };
        ui.warn(&format!("{lost}; it is done once more, in another pod if there is one"));
        let ready = Box::pin(again.make_ready_without(Some(&pod))).await?;
        ready.carry_out_once().await
    }

    /// Whether nobody notices that it is done twice: what went to standard output stays there.
    fn may_repeat(&self) -> bool {
        let mut exports = self.requests.iter().flat_map(|request| request.exports.values());
        !exports.any(|export| matches!(export, Export::Stdout))
    }
}

/// That the builder was lost, where it was.
fn loss(finished: &RunResult) -> Option<&str> {
    finished.outcome.targets.values().find_map(|target| match target {
        TargetOutcome::Failed(failure) if failure.kind == FailureKind::EngineLost => {
            Some(failure.message.as_str())
        }
        TargetOutcome::Failed(_) | TargetOutcome::Built(_) | TargetOutcome::Cancelled => None,
    })
}

//! A solve whose result others build on, without a name in any store: its build graph goes into theirs.
//!
//! The graph names the session that serves its directories, which has to stay open, and what it makes has to stay in use
//! until the last of them has ended: an operation that is in use is shared, one that is not is looked up in the cache,
//! from a directory that may have changed, or is run again (`no-cache`). So a second build without a frontend keeps it
//! in use, and the engine does not remember it (`internal`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::definition::Definition;
use super::gateway::Gateway;
use super::solve::{self, CacheEntry, SolveOptions};

/// Key of an image's configuration in the metadata of a result (BuildKit `exporter/containerimage/exptypes`).
const CONFIG: &str = "containerimage.config";

/// Key of the platforms of a result that has several; from the same place.
const PLATFORMS: &str = "refs.platforms";

/// A result that others build on. Dropping it ends its being kept, some time later.
#[derive(Debug)]
pub struct LinkedResult {
    /// What was built; one for each platform where several were asked for.
    pub states: Vec<State>,
    kept: Option<Keeper>,
}

/// What was built for one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The platform; `None` where the result has one for all platforms.
    pub platform: Option<String>,
    /// How it is made; `None` where it has no files (`FROM scratch` alone).
    pub definition: Option<Definition>,
    /// The image's configuration.
    pub config: Option<Vec<u8>>,
}

impl SolveOptions {
    /// Makes `result` the named context `name`. Source: BuildKit `frontend/dockerui/namedcontext.go`.
    pub fn link(&mut self, name: &str, result: &LinkedResult) {
        for state in &result.states {
            let name = match &state.platform {
                Some(platform) => format!("{name}::{platform}"),
                None => name.to_owned(),
            };
            let Some(definition) = &state.definition else {
                self.frontend_attrs.insert(format!("context:{name}"), NO_FILES.to_owned());
                continue;
            };
            self.frontend_attrs.insert(format!("context:{name}"), format!("input:{name}"));
            if let Some(config) = &state.config {
                let metadata =
                    serde_json::json!({"containerimage.config": STANDARD.encode(config)});
                self.frontend_attrs.insert(format!("input-metadata:{name}"), metadata.to_string());
            }
            self.inputs.insert(name, definition.clone());
        }
    }
}

/// A named context without files.
const NO_FILES: &str = "docker-image://scratch";

impl LinkedResult {
    /// How it is made, for each platform.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.states.iter().filter_map(|state| state.definition.as_ref())
    }

    /// A result of which nothing is built.
    pub(super) fn not_kept(states: Vec<State>) -> Self {
        Self { states, kept: None }
    }

    /// Ends its being kept, and waits until the engine has let go of it. What a build has made and still holds it gives to
    /// the next one without the keys by which that would find in the cache what was made of it, which would then run again.
    pub async fn release(self) {
        let Some(Keeper { mut gateway, held }) = self.kept else { return };
        // Whatever goes wrong, the build ends with the connection.
        if gateway.end(Ok(gateway::Result::default())).await.is_ok() {
            let _ = held.await;
        }
    }
}

/// Builds and exports as a plain Solve does, and keeps the result for those that build on it.
pub(super) async fn solve(
    channel: Channel,
    options: SolveOptions,
) -> Result<(BTreeMap<String, String>, LinkedResult), Status> {
    let mut control = solve::client(channel.clone());
    // The engine remembers the attributes of this request, and by them which project it was.
    let opening =
        SolveOptions { frontend: String::new(), inputs: BTreeMap::new(), ..options.clone() };
    let mut solved = std::pin::pin!(control.solve(solve::request(opening)));
    let (session, build_ref) = (options.session.clone(), options.build_ref.clone());
    let ask = async {
        let mut gateway = Gateway::open(channel.clone(), &build_ref).await?;
        // Only what is built can be kept; and it is kept by the time the first build lets go of it.
        let built = tokio::join!(gateway.ask(options, true), Keeper::open(channel, session));
        let kept = match built {
            (Ok(result), Ok(keeper)) => keeper.keep(states(&result)).await.map(|it| (result, it)),
            (Err(status), _) | (_, Err(status)) => Err(status),
        };
        match kept {
            Ok((result, linked)) => gateway.end(Ok(result)).await.map(|()| Some(linked)),
            // The build then fails as it would have failed by itself.
            Err(status) => gateway.end(Err(status)).await.map(|()| None),
        }
    };
    let mut ask = std::pin::pin!(ask);
    let (response, linked) = tokio::select! {
        // The end of a build that succeeded may be told before the answer to the message that ended it.
        ended = &mut solved => (ended?, ask.await?),
        linked = &mut ask => {
            let linked = linked?;
            (solved.await?, linked)
        }
    };
    let response = response.into_inner().exporter_response.into_iter().collect();
    let linked =
        linked.ok_or_else(|| Status::internal("the engine took a failed build for a good one"))?;
    Ok((response, linked))
}

/// Exports the cache of `built` in a build of its own: what is in use is shared, so that no step runs again.
pub(super) async fn export_cache(
    channel: Channel,
    built: &LinkedResult,
    session: String,
    build_ref: String,
    to: CacheEntry,
) -> Result<BTreeMap<String, String>, Status> {
    let options = SolveOptions {
        build_ref: build_ref.clone(),
        session,
        cache_exports: vec![to],
        ..SolveOptions::default()
    };
    let mut control = solve::client(channel.clone());
    let request = pb::SolveRequest { internal: true, ..solve::request(options) };
    let mut solved = std::pin::pin!(control.solve(request));
    let again = async {
        let mut gateway = Gateway::open(channel, &build_ref).await?;
        let mut refs = std::collections::HashMap::new();
        for (number, state) in built.states.iter().enumerate() {
            let Some(definition) = state.definition.clone() else { continue };
            if let Some(gateway::result::Result::Ref(reference)) =
                gateway.build(definition).await?.result
            {
                let platform = state.platform.clone().unwrap_or_else(|| number.to_string());
                refs.insert(platform, reference);
            }
        }
        // Several are a map by platform, which BuildKit wants described; one is the result itself.
        let mut all = gateway::Result::default();
        all.result = Some(match refs.len() {
            1 => gateway::result::Result::Ref(refs.into_values().next().unwrap_or_default()),
            _ => {
                all.metadata.insert(PLATFORMS.to_owned(), platforms(refs.keys()));
                gateway::result::Result::Refs(gateway::RefMap { refs })
            }
        });
        gateway.end(Ok(all)).await
    };
    let response = tokio::select! {
        ended = &mut solved => ended?,
        asked = again => {
            asked?;
            solved.await?
        }
    };
    Ok(response.into_inner().exporter_response.into_iter().collect())
}

/// Which of the results is for which platform.
fn platforms<'a>(names: impl Iterator<Item = &'a String>) -> Vec<u8> {
    let platform = |name: &String| {
        let mut parts = name.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default();
        let described =
            serde_json::json!({"os": part(), "architecture": part(), "variant": part()});
        serde_json::json!({"ID": name, "Platform": described})
    };
    let all: Vec<_> = names.map(platform).collect();
    serde_json::json!({ "Platforms": all }).to_string().into_bytes()
}

/// What the states of `result` are.
pub(super) fn states(result: &gateway::Result) -> Vec<State> {
    let state = |platform: Option<&String>, reference: &gateway::Ref| {
        let key = platform.map_or_else(|| CONFIG.to_owned(), |name| format!("{CONFIG}/{name}"));
        State {
            platform: platform.cloned(),
            definition: reference.def.clone().and_then(Definition::from_wire),
            config: result.metadata.get(&key).cloned(),
        }
    };
    match &result.result {
        Some(gateway::result::Result::Ref(reference)) => vec![state(None, reference)],
        Some(gateway::result::Result::Refs(map)) => {
            let mut all: Vec<_> = map
                .refs
                .iter()
                .map(|(platform, reference)| state(Some(platform), reference))
                .collect();
            all.sort_by(|a, b| a.platform.cmp(&b.platform));
            all
        }
        _ => Vec::new(),
    }
}

/// The error of a build that ended before its gateway was done.
pub(super) fn ended_early<T>(ended: Result<Response<T>, Status>) -> Status {
    ended.err().unwrap_or_else(|| Status::internal("the engine ended the request"))
}

/// The build that keeps a result in use.
#[derive(Debug)]
struct Keeper {
    gateway: Gateway,
    held: AbortOnDropHandle<()>,
}

impl Keeper {
    async fn open(channel: Channel, session: String) -> Result<Self, Status> {
        let build_ref = super::new_ref();
        let request = pb::SolveRequest {
            r#ref: build_ref.clone(),
            session,
            internal: true,
            ..Default::default()
        };
        let mut control = solve::client(channel.clone());
        let (ending, ended) = tokio::sync::oneshot::channel();
        let held = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = ending.send(control.solve(request).await);
        }));
        tokio::select! {
            Ok(ended) = ended => Err(ended_early(ended)),
            gateway = Gateway::open(channel, &build_ref) => Ok(Self { gateway: gateway?, held }),
        }
    }

    async fn keep(mut self, states: Vec<State>) -> Result<LinkedResult, Status> {
        for definition in states.iter().filter_map(|state| state.definition.clone()) {
            self.gateway.build(definition).await?;
        }
        Ok(LinkedResult { states, kept: Some(self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_configuration_of_their_platform() {
        let reference = |id: &str| gateway::Ref { id: id.to_owned(), def: None };
        let one = gateway::Result {
            metadata: [(CONFIG.to_owned(), b"{}".to_vec())].into(),
            result: Some(gateway::result::Result::Ref(reference("r"))),
            ..Default::default()
        };
        let state = |platform: Option<&str>, config: Option<&[u8]>| State {
            platform: platform.map(str::to_owned),
            definition: None,
            config: config.map(<[u8]>::to_vec),
        };
        assert_eq!(states(&one), [state(None, Some(b"{}"))]);
        let refs = ["linux/arm64", "linux/amd64"].map(|name| (name.to_owned(), reference(name)));
        let several = gateway::Result {
            metadata: [(format!("{CONFIG}/linux/arm64"), b"arm".to_vec())].into(),
            result: Some(gateway::result::Result::Refs(gateway::RefMap { refs: refs.into() })),
            ..Default::default()
        };
        let expected = [state(Some("linux/amd64"), None), state(Some("linux/arm64"), Some(b"arm"))];
        assert_eq!(states(&several), expected);
    }
}

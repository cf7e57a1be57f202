//! What the engine remembers of the past: its last 256 events, until it is restarted.

use std::collections::HashMap;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use super::error::failed;
use super::{Engine, EngineError};

/// Since when: 0 would mean that the past is not asked for.
const EVER: &str = "1";

impl Engine {
    /// When anyone last pruned build cache and got space for it, up to `now` by the engine's clock; `None` where the engine
    /// remembers nothing of that kind. Its own garbage collection leaves no event.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn last_prune(&self, now: Timestamp) -> Result<Option<Timestamp>, EngineError> {
        let only = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
        let filters = HashMap::from([only("type", "builder"), only("event", "prune")]);
        let until = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond().max(0));
        let options =
            EventsOptionsBuilder::default().since(EVER).until(&until).filters(&filters).build();
        let events = self.docker().events(Some(options));
        let last = events.try_fold(None, async |last, event| {
            let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            let freed = attributes.get("reclaimed").is_some_and(|bytes| bytes != "0");
            let at = event.time_nano.and_then(|at| Timestamp::from_nanosecond(at.into()).ok());
            Ok(at.filter(|_| freed).max(last))
        });
        last.await.map_err(failed("list the prunes of the build cache"))
    }
}

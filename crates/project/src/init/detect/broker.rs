//! What carries tasks between services, and how the code is told where it is.

use std::collections::BTreeSet;

use super::{Broker, Detection, Runner};
use crate::init::apps;
use crate::init::tree::Tree;

/// Words by which code is known to read its environment.
const READS_ENVIRONMENT: [&str; 6] =
    ["environ", "getenv", "BaseSettings", "load_dotenv", "decouple", "Config("];

/// The code of a project by its paths, without its tests.
struct Sources<'a>(Vec<(&'a str, &'a str)>);

impl Sources<'_> {
    fn say(&self, words: &[&str]) -> bool {
        self.0.iter().any(|(_, text)| words.iter().any(|word| text.contains(word)))
    }
}

impl Broker {
    /// How services of the compose file reach it.
    fn url(self) -> &'static str {
        match self {
            Self::Redis => "redis://redis:6379/0",
            Self::RabbitMq => "amqp://guest:guest@rabbitmq:5672//",
        }
    }
}

impl Detection {
    /// The broker, and the settings by which the code finds it.
    pub(super) fn surroundings(&mut self, tree: &Tree) {
        let python = tree.python().filter(|(path, _)| !apps::is_test(path));
        let sources = Sources(python.map(|(path, source)| (path, source.text.as_str())).collect());
        self.reads_environment = sources.say(&READS_ENVIRONMENT);
        self.broker = self.broker(tree, &sources);
        let Some(broker) = self.broker else { return };
        if broker == Broker::Redis {
            // Whoever sends tasks needs the client, too.
            for service in self.api.iter_mut().chain(&mut self.worker) {
                let requirements = &service.requirements;
                let sends = ["celery", "dramatiq"].iter().any(|it| requirements.name(tree, it));
                if sends && !requirements.name(tree, "redis") {
                    service.extra.push("redis".to_owned());
                }
            }
        }
        self.environment = self.settings(broker, &sources);
        let local = ["://localhost", "://127.0.0.1", "@localhost"];
        let fixed = sources.0.iter().find(|(_, text)| local.iter().any(|it| text.contains(it)));
        if let Some((path, _)) = fixed {
            self.notes.push(format!(
                "{path} names localhost: in a container that is the container itself; read the address from \
                 the environment, which the compose file sets to {}",
                broker.url()
            ));
        }
    }

    /// The broker that packages or code speak of.
    fn broker(&self, tree: &Tree, sources: &Sources<'_>) -> Option<Broker> {
        let names = |package: &str| {
            self.services().any(|(_, service)| service.requirements.name(tree, package))
        };
        let runner = self.worker.as_ref().map(|worker| &worker.runner);
        let is_rabbit = sources.say(&["amqp://", "pyamqp://", "RabbitmqBroker"])
            || ["pika", "aio-pika", "aio_pika", "rabbitmq"].iter().any(|it| names(it));
        let has_redis = names("redis") || sources.say(&["redis://", "RedisBroker"]);
        if matches!(runner, Some(Runner::Rq { .. })) {
            Some(Broker::Redis)
        } else if is_rabbit {
            Some(Broker::RabbitMq)
        } else if has_redis {
            Some(Broker::Redis)
        } else {
            // Celery speaks AMQP without a package of its own for it.
            let is_queue = runner.is_some_and(|runner| !matches!(runner, Runner::Module));
            is_queue.then_some(Broker::RabbitMq)
        }
    }

    /// The variables of the environment that the code names, with their values.
    fn settings(&self, broker: Broker, sources: &Sources<'_>) -> Vec<(String, String)> {
        let runner = self.worker.as_ref().map(|worker| &worker.runner);
        let url = broker.url();
        let words: BTreeSet<String> = sources
            .0
            .iter()
            .flat_map(|(_, text)| text.split(|c: char| !(c.is_alphanumeric() || c == '_')))
            .map(str::to_ascii_uppercase)
            .collect();
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set = |names: &[&str], value: &str| {
            for name in names.iter().filter(|name| words.contains(**name)) {
                environment.push(((*name).to_owned(), value.to_owned()));
            }
        };
        // Celery reads CELERY_BROKER_URL itself where the code names no broker.
        set(&["BROKER_URL", "CELERY_BROKER_URL"], url);
        let results = if broker == Broker::Redis { url } else { "rpc://" };
        set(&["CELERY_RESULT_BACKEND", "RESULT_BACKEND"], results);
        match broker {
            Broker::Redis => {
                set(&["REDIS_HOST"], "redis");
                set(&["REDIS_URI", "REDIS_URL"], url);
            }
            Broker::RabbitMq => {
                set(&["AMQP_HOST", "RABBITMQ_HOST", "RABBIT_HOST"], "rabbitmq");
                set(&["AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL", "RABBIT_URL"], url);
            }
        }
        let unset = match runner {
            Some(Runner::Rq { .. }) => Some("RQ_REDIS_URL"),
            Some(Runner::Celery { .. }) if environment.is_empty() => Some("CELERY_BROKER_URL"),
            _ => None,
        };
        environment.extend(unset.map(|name| (name.to_owned(), url.to_owned())));
        environment
    }
}

//! What carries tasks between services, and how the code is told where it is.

use std::collections::BTreeSet;

use super::{Broker, Detection, Runner};
use crate::init::apps;
use crate::init::tree::Tree;

impl Detection {
    /// The broker, and the settings by which the code finds it.
    pub(super) fn surroundings(&mut self, tree: &Tree) {
        let sources: Vec<(&str, &str)> = tree
            .python()
            .filter(|(path, _)| !apps::is_test(path))
            .map(|(path, source)| (path, source.text.as_str()))
            .collect();
        let says = |words: &[&str]| {
            sources.iter().any(|(_, text)| words.iter().any(|word| text.contains(word)))
        };
        self.reads_environment =
            says(&["environ", "getenv", "BaseSettings", "load_dotenv", "decouple", "Config("]);
        let names = |package: &str| {
            self.services().any(|(_, service)| service.requirements.name(tree, package))
        };
        let is_queue =
            self.worker.as_ref().is_some_and(|worker| !matches!(worker.runner, Runner::Module));
        let is_rq = matches!(self.worker.as_ref().map(|it| &it.runner), Some(Runner::Rq { .. }));
        let is_rabbit = says(&["amqp://", "pyamqp://", "RabbitmqBroker"])
            || ["pika", "aio-pika", "aio_pika", "rabbitmq"].iter().any(|it| names(it));
        let has_redis = names("redis") || says(&["redis://", "RedisBroker"]);
        self.broker = if is_rq {
            Some(Broker::Redis)
        } else if is_rabbit {
            Some(Broker::RabbitMq)
        } else if has_redis {
            Some(Broker::Redis)
        } else {
            // Celery speaks AMQP without a package of its own for it.
            is_queue.then_some(Broker::RabbitMq)
        };
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
        let (url, host) = match broker {
            Broker::Redis => ("redis://redis:6379/0", "redis"),
            Broker::RabbitMq => ("amqp://guest:guest@rabbitmq:5672//", "rabbitmq"),
        };
        let results = if broker == Broker::Redis { url } else { "rpc://" };
        let words: BTreeSet<String> = sources
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
        set(&["CELERY_RESULT_BACKEND", "RESULT_BACKEND"], results);
        match broker {
            Broker::Redis => {
                set(&["REDIS_HOST"], host);
                set(&["REDIS_URI", "REDIS_URL"], url);
            }
            Broker::RabbitMq => {
                set(&["AMQP_HOST", "RABBITMQ_HOST", "RABBIT_HOST"], host);
                set(&["AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL", "RABBIT_URL"], url);
            }
        }
        let is_celery =
            matches!(self.worker.as_ref().map(|it| &it.runner), Some(Runner::Celery { .. }));
        if is_rq {
            environment.push(("RQ_REDIS_URL".to_owned(), url.to_owned()));
        } else if environment.is_empty() && is_celery {
            environment.push(("CELERY_BROKER_URL".to_owned(), url.to_owned()));
        }
        self.environment = environment;
        let fixed = sources.iter().find(|(_, text)| {
            ["://localhost", "://127.0.0.1", "@localhost"].iter().any(|host| text.contains(host))
        });
        if let Some((path, _)) = fixed {
            self.notes.push(format!(
                "{path} names localhost: in a container that is the container itself; read the address from \
                 the environment, which the compose file sets to {url}"
            ));
        }
    }
}

//! Decides whose each thing is. Pure: the same question gets the same answer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cache;
use super::model::{Answer, Include, Names, Origin, Project, Question, Reason, Whose};
use crate::inventory::{Container, Image, Labels, Network, Volume};
use crate::labels;

/// Whose everything is.
pub fn judge(question: &Question<'_>) -> Answer {
    let mut judge = Judge { question, answer: Answer::default(), used_elsewhere: false };
    judge.used_elsewhere = judge.is_used_elsewhere();
    judge.containers();
    judge.images();
    judge.containers_on_images();
    judge.networks();
    judge.volumes();
    let cache = cache::judge(question, &judge.answer, judge.used_elsewhere);
    Answer { records: cache.verdicts, current_images: cache.current_images, ..judge.answer }
}

struct Judge<'a> {
    question: &'a Question<'a>,
    answer: Answer,
    /// Whether somebody uses the project from another directory.
    used_elsewhere: bool,
}

/// Where something was made.
enum Whereabouts {
    Here,
    Elsewhere(Option<PathBuf>),
}

impl Judge<'_> {
    fn project(&self) -> &Project {
        self.question.project
    }

    fn includes(&self, what: Include) -> bool {
        self.question.include.contains(&what)
    }

    fn is_labelled(&self, labels: &Labels) -> bool {
        labels.get(labels::PROJECT) == Some(&self.project().name)
    }

    /// What the reason keeps, unless it is included.
    fn unless_included(&self, reason: Reason, otherwise: &str) -> Whose {
        match reason.include() {
            Some(what) if self.includes(what) => Whose::Ours(otherwise.to_owned()),
            _ => Whose::Kept(reason),
        }
    }

    // --- containers ---

    fn containers(&mut self) {
        for container in &self.question.inventory.containers {
            if !self.is_labelled(&container.labels) {
                continue;
            }
            let whose = match self.not_by_compose(container) {
                Some(reason) => Whose::Kept(reason),
                None => match self.place(container) {
                    Whereabouts::Here => Whose::Ours("of the project".to_owned()),
                    Whereabouts::Elsewhere(directory) => self.unless_included(
                        Reason::Elsewhere(directory),
                        "of the project, made elsewhere",
                    ),
                },
            };
            self.answer.containers.insert(container.id.clone(), whose);
        }
    }

    /// Why a container with the project's label is none that compose made. Containers inherit the labels of their
    /// image, those that compose puts on images among them.
    fn not_by_compose(&self, container: &Container) -> Option<Reason> {
        let inventory = self.question.inventory;
        let listed = inventory.image(&container.image_id).map(|image| &image.labels);
        let image = listed.or_else(|| self.question.evidence.unlisted.get(&container.image_id));
        let own = |label: &&str| {
            container
                .labels
                .get(*label)
                .is_some_and(|value| image.is_none_or(|image| image.get(*label) != Some(value)))
        };
        let project = container.labels.get(labels::PROJECT);
        let inherits = image.is_some_and(|image| image.get(labels::PROJECT) == project);
        match labels::OF_CONTAINERS.iter().any(own) {
            false if inherits => Some(Reason::Inherited),
            false => Some(Reason::NotByCompose),
            true if image.is_none() && !has_name_of_compose(container) => Some(Reason::ImageGone),
            true => None,
        }
    }

    /// From which directory a container of compose's was made.
    fn place(&self, container: &Container) -> Whereabouts {
        let Some(checkout) = &self.project().checkout else { return Whereabouts::Here };
        let resolved = |path: &str| {
            let places = &self.question.evidence.places;
            places.get(path).cloned().unwrap_or_else(|| PathBuf::from(path))
        };
        let directory = container.labels.get(labels::WORKING_DIR).filter(|path| !path.is_empty());
        if let Some(directory) = directory {
            let directory = resolved(directory);
            return match directory == checkout.directory {
                true => Whereabouts::Here,
                false => Whereabouts::Elsewhere(Some(directory)),
            };
        }
        let files = container.labels.get(labels::CONFIG_FILES);
        let mut files = files.into_iter().flat_map(|files| files.split(',')).peekable();
        let fits =
            files.peek().is_some() && files.all(|file| checkout.files.contains(&resolved(file)));
        if fits { Whereabouts::Here } else { Whereabouts::Elsewhere(None) }
    }

    fn is_used_elsewhere(&self) -> bool {
        let mut containers = self.question.inventory.containers.iter();
        self.question.evidence.elsewhere
            || containers.any(|container| {
                self.is_labelled(&container.labels)
                    && self.not_by_compose(container).is_none()
                    && matches!(self.place(container), Whereabouts::Elsewhere(_))
            })
    }

    /// Containers of other people that run an image of the project.
    fn containers_on_images(&mut self) {
        for container in &self.question.inventory.containers {
            if self.answer.containers.contains_key(&container.id) {
                continue;
            }
            let names = self.answer.images.get(&container.image_id).into_iter().flatten();
            if !names.clone().any(|(_, whose)| matches!(whose, Whose::Ours(_))) {
                continue;
            }
            let project = container.labels.get(labels::PROJECT).cloned();
            let kept = Whose::Kept(Reason::RunsImage(project));
            self.answer.containers.insert(container.id.clone(), kept);
        }
    }

    // --- images ---

    fn images(&mut self) {
        for image in &self.question.inventory.images {
            let names: Vec<(Option<String>, Whose)> = if image.is_dangling() {
                self.unnamed(image).into_iter().map(|whose| (None, whose)).collect()
            } else {
                let judged = image
                    .references
                    .iter()
                    .filter_map(|name| Some((Some(name.clone()), self.named(image, name)?)));
                judged.collect()
            };
            if !names.is_empty() {
                self.answer.images.insert(image.id.clone(), names);
            }
        }
    }

    fn made(&self, image: &Image) -> Option<&Origin> {
        self.question.evidence.made.get(&image.id)
    }

    /// Whose an image is under this name. Its label alone says little: images that are built on one of the project
    /// inherit it.
    fn named(&self, image: &Image, name: &str) -> Option<Whose> {
        let project = self.project();
        let label = image.labels.get(labels::PROJECT);
        let labelled = label == Some(&project.name);
        let is_listed = project.built.contains(name) || project.pulled.contains(name);
        if let Some(other) = label.filter(|_| !labelled) {
            return is_listed.then(|| Whose::Kept(Reason::OtherProject(other.clone())));
        }
        if project.built.contains(name) {
            if labelled || self.made(image).is_some() {
                return Some(self.built(image, "the compose file builds it".to_owned()));
            }
            return Some(self.unless_included(Reason::Unrecorded, "the compose file builds it"));
        }
        if project.pulled.contains(name) {
            return Some(Whose::Pulled);
        }
        let service = image.labels.get(labels::SERVICE).map_or("", String::as_str);
        let why = || match service {
            "" => "a recorded build of the project made it".to_owned(),
            service => format!("built for service {service} of the project"),
        };
        // Another name of the same image is somebody's own doing.
        if self.made(image).is_some_and(|made| made.names.contains(name)) {
            return Some(self.built(image, why()));
        }
        if !labelled {
            return None;
        }
        let is_default = ["-", "_"].iter().any(|gap| {
            !service.is_empty() && *name == format!("{}{gap}{service}:latest", project.name)
        });
        Some(match (&project.checkout, is_default) {
            (_, false) => Whose::Kept(Reason::HandMadeName),
            (None, true) => Whose::Ours(why()),
            (Some(_), true) => self.unless_included(Reason::UndeclaredImage, &why()),
        })
    }

    /// Whose an image without a name is. Whoever builds on an image of the project inherits its label.
    fn unnamed(&self, image: &Image) -> Option<Whose> {
        if self.made(image).is_some() {
            return Some(self.built(image, "dangling, built by the project".to_owned()));
        }
        self.is_labelled(&image.labels)
            .then(|| self.unless_included(Reason::Unrecorded, "dangling, with the project's label"))
    }

    /// Whose an image is that a build of the project made, perhaps in another directory.
    fn built(&self, image: &Image, why: String) -> Whose {
        let Some(checkout) = &self.project().checkout else { return Whose::Ours(why) };
        let nobody = BTreeSet::new();
        let from = self.made(image).map_or(&nobody, |made| &made.from);
        let other = from.iter().find(|directory| **directory != checkout.directory);
        let reason = match (from.contains(&checkout.directory), other) {
            (true, None) => None,
            (true, Some(other)) => Some(Reason::ElsewhereToo(other.clone())),
            (false, Some(other)) => Some(Reason::Elsewhere(Some(other.clone()))),
            // Nobody recorded it. Whoever made containers from it had it.
            (false, None) if !self.used_elsewhere || self.runs_here(image) => None,
            (false, None) => Some(Reason::Elsewhere(None)),
        };
        match reason {
            Some(reason) => self.unless_included(reason, &why),
            None => Whose::Ours(why),
        }
    }

    fn runs_here(&self, image: &Image) -> bool {
        image.containers.iter().any(|id| self.answer.has_container(id))
    }

    // --- networks and volumes ---

    fn networks(&mut self) {
        for network in &self.question.inventory.networks {
            let Network { name, labels, .. } = network;
            let project = self.project();
            let whose = self.resource(
                "network",
                name,
                labels,
                labels::NETWORK,
                &project.external.networks,
                |it| &it.networks,
            );
            if let Some(whose) = whose {
                self.answer.networks.insert(network.id.clone(), whose);
            }
        }
    }

    fn volumes(&mut self) {
        for volume in &self.question.inventory.volumes {
            let Volume { name, labels, .. } = volume;
            let external = &self.project().external.volumes;
            let whose = if is_anonymous(volume) && !external.contains(name) {
                self.anonymous(volume)
            } else {
                self.resource("volume", name, labels, labels::VOLUME, external, |it| &it.volumes)
            };
            if let Some(whose) = whose {
                self.answer.volumes.insert(name.clone(), whose);
            }
        }
    }

    /// Whose a volume or network is. `key` is the label that compose puts on each one that it makes.
    fn resource(
        &self,
        kind: &'static str,
        name: &str,
        labels: &Labels,
        key: &str,
        external: &BTreeSet<String>,
        declared: impl Fn(&Names) -> &BTreeSet<String>,
    ) -> Option<Whose> {
        if external.contains(name) {
            return Some(Whose::Kept(Reason::External));
        }
        let checkout = self.project().checkout.as_ref();
        let is_declared = checkout.map(|checkout| declared(&checkout.declared).contains(name));
        match labels.get(labels::PROJECT) {
            Some(other) if *other != self.project().name => {
                let named = is_declared == Some(true);
                return named.then(|| Whose::Kept(Reason::OtherProject(other.clone())));
            }
            None if is_declared != Some(true) => return None,
            _ => {}
        }
        let by_compose = self.is_labelled(labels) && labels.contains_key(key);
        Some(match is_declared {
            _ if !by_compose => Whose::Kept(Reason::NotByCompose),
            Some(false) => self.unless_included(Reason::Undeclared(kind), "of the project"),
            Some(true) | None => Whose::Ours("of the project".to_owned()),
        })
    }

    /// A volume that nobody named is its containers': the project's where they all are.
    fn anonymous(&self, volume: &Volume) -> Option<Whose> {
        let all = self.question.inventory.containers.iter();
        let users: Vec<&Container> = all.filter(|it| volume.containers.contains(&it.id)).collect();
        if !users.iter().any(|user| self.answer.containers.contains_key(&user.id)) {
            return None;
        }
        let other = users.iter().find(|user| !self.answer.has_container(&user.id));
        Some(match other {
            Some(other) => Whose::Kept(Reason::UsedBy(other.name.clone())),
            None => Whose::Ours("of its container".to_owned()),
        })
    }
}

/// Whether nobody named a volume. Engines before 23.0 put no label on these.
fn is_anonymous(volume: &Volume) -> bool {
    let by_name =
        || volume.name.len() == 64 && volume.name.bytes().all(|it| it.is_ascii_hexdigit());
    !volume.labels.contains_key(labels::VOLUME)
        && (volume.labels.contains_key(labels::ANONYMOUS) || by_name())
}

/// Whether a container is called as compose calls those of its service.
fn has_name_of_compose(container: &Container) -> bool {
    let label = |name: &str| container.labels.get(name).map_or("", String::as_str);
    let (project, service) = (label(labels::PROJECT), label(labels::SERVICE));
    ["-", "_"].iter().any(|gap| {
        let base = format!("{project}{gap}{service}{gap}");
        container.name == format!("{base}{}", label(labels::NUMBER))
            || container.name.starts_with(&format!("{base}run{gap}"))
    })
}

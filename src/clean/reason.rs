//! Why a record of the build cache is removed or kept, in words.

use crate::counted::counted;
use crate::ownership::records::Reason;

/// Why a record is removed or kept.
pub(super) struct Why {
    /// As it stands in documents.
    pub(super) reason: String,
    /// Without numbers and names, so that many records have the same.
    pub(super) gist: String,
}

impl Why {
    pub(super) fn new(reason: &Reason) -> Self {
        let gist = match reason {
            Reason::ForeignImage { .. } => "an image that is not the project's has the layer",
            Reason::Unexplained { .. } => "used more often than by known builds of the project",
            _ => return words(reason).into(),
        };
        Self { reason: words(reason), gist: gist.to_owned() }
    }

    pub(super) fn map(self, change: impl Fn(String) -> String) -> Self {
        Self { reason: change(self.reason), gist: change(self.gist) }
    }
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Self { gist: reason.clone(), reason }
    }
}

impl From<&str> for Why {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// A reason of the attribution as a fragment.
pub fn words(reason: &Reason) -> String {
    match reason {
        Reason::NotRecorded => "no known build of the project made it".to_owned(),
        Reason::Base => "a base image: it belongs to all who build on it".to_owned(),
        Reason::InUse => "a build uses it now".to_owned(),
        Reason::Ambiguous => "another build may have made it".to_owned(),
        Reason::SharedMount { project: Some(name) } => format!("project {name} mounts it too"),
        Reason::SharedMount { project: None } => "another build mounts it too".to_owned(),
        Reason::ForeignImage { image } => format!("image {image} has the layer"),
        Reason::Unexplained { uses, explained } => {
            format!("used {}, {explained} by known builds of the project", counted(*uses, "time"))
        }
        Reason::Needed { .. } => "a record that stays builds on it".to_owned(),
    }
}

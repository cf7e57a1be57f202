//! What the part that a step plays makes of its request.

use super::{IndexNames, SolveRequest};
use crate::solve::plan::Role;

impl SolveRequest {
    /// Makes it the request of a step that plays `role`.
    pub fn play(&mut self, role: Role) {
        match role {
            Role::Whole => {}
            Role::Part => {
                self.is_part = true;
                // A part is an index even where it has one image: what is attested of that stands beside it.
                let attrs = &mut self.options.frontend_attrs;
                attrs.insert("multi-platform".to_owned(), "true".to_owned());
            }
            Role::Index => {
                let index = Some(IndexNames::new(&self.options.exporters));
                let lost_names = std::mem::take(&mut self.lost_names);
                *self = Self { index, lost_names, ..Self::default() };
            }
        }
    }
}

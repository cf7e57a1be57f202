//! What images are made of: where to look, and whom a change concerns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::compose::Project;
use crate::targets::Target;
use crate::transfer::{self, TransferError};

/// What one image is made of.
struct Input {
    target: Target,
    /// The Dockerfile: its name, and its text.
    dockerfile: (String, String),
    /// What the service sees of this machine as it is, so that no image is needed for a change of it.
    mounted: Vec<PathBuf>,
}

/// What the images of a project are made of.
pub struct Inputs(Vec<Input>);

impl Inputs {
    /// Those of `targets`, with their Dockerfiles. A target without one is built by nobody.
    pub fn new(
        project: &Project,
        targets: Vec<Target>,
        dockerfile: impl Fn(&Target) -> Option<(String, String)>,
    ) -> Self {
        let input = |target: Target| {
            let service = project.services.get(&target.service);
            let mounted = service.map(|it| it.runtime.mounted.clone()).unwrap_or_default();
            Some(Input { dockerfile: dockerfile(&target)?, target, mounted })
        };
        Self(targets.into_iter().filter_map(input).collect())
    }

    /// The directories in which something can change that an image is made of.
    ///
    /// # Errors
    /// A build context cannot be read.
    pub fn directories(&self) -> Result<BTreeSet<PathBuf>, TransferError> {
        let mut found = BTreeSet::new();
        for Input { target, dockerfile: (file, text), .. } in &self.0 {
            found.append(&mut transfer::directories(target, (file, text))?);
            found.extend(Path::new(file).parent().filter(|it| it.is_dir()).map(Path::to_owned));
        }
        Ok(found)
    }

    /// The services whose images are made of one of `paths`, or of an image that is, each with the paths.
    ///
    /// # Errors
    /// A build context cannot be read.
    pub fn concerned(
        &self,
        paths: &BTreeSet<PathBuf>,
    ) -> Result<Vec<(String, Vec<PathBuf>)>, TransferError> {
        let mut found: Vec<(&Input, Vec<PathBuf>)> = Vec::new();
        for input in &self.0 {
            let mut own = Vec::new();
            for path in paths {
                if input.is_made_of(path)? {
                    own.push(path.clone());
                }
            }
            if !own.is_empty() {
                found.push((input, own));
            }
        }
        let mut next = 0;
        while let Some((base, paths)) = found.get(next).cloned() {
            let link = format!("target:{}", base.target.name);
            for input in
                self.0.iter().filter(|it| it.target.contexts.values().any(|it| *it == link))
            {
                if !found.iter().any(|(known, _)| known.target.name == input.target.name) {
                    found.push((input, paths.clone()));
                }
            }
            next += 1;
        }
        Ok(found.into_iter().map(|(input, paths)| (input.target.service.clone(), paths)).collect())
    }
}

impl Input {
    fn is_made_of(&self, path: &Path) -> Result<bool, TransferError> {
        let (file, text) = &self.dockerfile;
        let ignore = format!("{file}.dockerignore");
        let says_what_is_sent = Path::new(&self.target.context).join(".dockerignore");
        if [Path::new(file), Path::new(&ignore), &says_what_is_sent].contains(&path) {
            return Ok(true);
        }
        if self.mounted.iter().any(|mounted| path.starts_with(mounted)) {
            return Ok(false);
        }
        let answers = transfer::explain(&self.target, (file, text), path)?;
        Ok(answers.iter().any(|answer| {
            let is_left_out = answer.decision.as_ref().is_some_and(|it| it.leaves_out);
            !answer.readers.is_empty() && !is_left_out
        }))
    }
}

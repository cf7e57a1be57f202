//! What a diagnosis may ask of the side that builds.

/// What this side knows of a build: nothing, unless a method says otherwise. It is asked only where a message calls for
/// it: walking a context is expensive.
pub trait Facts {
    /// Paths in the context directory, those that .dockerignore excludes included; relative, with `/`.
    fn paths(&self) -> Vec<String> {
        Vec::new()
    }

    /// A file of the directories it was sent whose name is not UTF-8.
    fn name_not_utf8(&self) -> Option<String> {
        None
    }

    /// Where the files name the build context that the engine has to fetch: `compose.yaml:4:7`.
    fn place_of_context(&self) -> Option<String> {
        None
    }

    /// The ignore file, where its patterns are most of what the engine asks for files with.
    fn long_ignore_file(&self) -> Option<LongIgnoreFile> {
        None
    }

    /// Whether the build gets a secret.
    fn secret(&self, _id: &str) -> Supply {
        Supply::Yes
    }

    /// Whether the build gets an ssh agent or key.
    fn has_ssh(&self, _id: &str) -> bool {
        true
    }
}

/// An ignore file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongIgnoreFile {
    /// Its path, to be shown.
    pub path: String,
    /// How many patterns it has.
    pub patterns: usize,
}

/// Whether a build gets a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supply {
    /// It gets one that has a value.
    Yes,
    /// It does not.
    No,
    /// It does, with nothing in it: the variable that should hold it is not set.
    Empty {
        /// The name of the variable.
        variable: String,
    },
}

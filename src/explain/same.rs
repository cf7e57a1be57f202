//! Whether two steps do the same by themselves, as far as their texts tell, and in what they differ. What stands below them
//! is another question.

use std::collections::BTreeSet;

use super::given::{moved, setting_name};
use crate::history::copied::Differences;
use crate::history::record::base_of;
use crate::history::{Inputs, StepEntry};

/// A step and what its target was given.
#[derive(Clone, Copy)]
pub(super) struct StepContext<'a> {
    pub(super) step: &'a StepEntry,
    pub(super) inputs: &'a Inputs,
}

impl<'a> StepContext<'a> {
    fn is_run(self) -> bool {
        self.step.instruction.starts_with("RUN ")
    }

    /// What is set above it, where that is known.
    pub(super) fn settings(self) -> Option<Vec<&'a str>> {
        self.step.written.as_ref()?;
        let settings = &self.inputs.settings;
        self.step.settings.iter().map(|at| Some(settings.get(*at)?.as_str())).collect()
    }

    /// The same with the values of build arguments that were given, where all are known.
    fn values(self) -> Option<Vec<String>> {
        let value = |text: &str| match text.strip_prefix("ARG ").filter(|name| !name.contains('='))
        {
            Some(name) => match self.inputs.args.get(name) {
                Some(_) => Some(format!("{text}={}", self.inputs.identity(name)?)),
                None => Some(text.to_owned()),
            },
            None => Some(text.to_owned()),
        };
        self.settings()?.into_iter().map(value).collect()
    }

    /// Its text without what BuildKit leaves out of the key of its result: the stage that a copy names and the digest of an
    /// image, which are other questions, and which of several cache mounts a RUN has, unless it is the default one.
    fn text(self) -> String {
        let words = self.step.instruction.split(' ').map(|word| match word.split_once("=") {
            Some(("--mount", options)) if self.is_run() => cache_mount(options),
            Some(("--from", _)) if !self.is_run() => "--from".to_owned(),
            _ => word.split("@sha256:").next().unwrap_or(word).to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The options of a mount. Of a cache mount without its id and sharing, but whether they are the default.
fn cache_mount(options: &str) -> String {
    let options: Vec<&str> = options.split(',').collect();
    let option = |name: &str| options.iter().find_map(|it| it.strip_prefix(name));
    if option("type=") != Some("cache") {
        return options.join(",");
    }
    let target = option("target=").or(option("dst=")).or(option("destination="));
    let is_default = option("sharing=").is_none_or(|it| it == "shared")
        && option("id=").is_none_or(|id| Some(id) == target);
    let is_other = |it: &&&str| !it.starts_with("id=") && !it.starts_with("sharing=");
    let rest: Vec<&str> = options.iter().filter(is_other).copied().collect();
    format!("{}{}", rest.join(","), if is_default { "" } else { ",other" })
}

/// Whether both are asked for the same by themselves. Where it is not known, they are not.
pub(super) fn is_same(old: StepContext<'_>, new: StepContext<'_>) -> bool {
    let (Some(was), Some(is)) = (old.values(), new.values()) else { return false };
    let is_written_so = new.step.is_told_whole() || old.step.written == new.step.written;
    old.text() == new.text()
        && is_written_so
        && (!new.is_run() || others(&was, &is).is_empty())
        && old.inputs.options == new.inputs.options
        && old.inputs.platforms == new.inputs.platforms
}

/// Names of settings that are others at the end of one list than of the other.
fn others<'a>(was: &'a [String], is: &'a [String]) -> BTreeSet<&'a str> {
    let last = |all: &'a [String], name: &str| all.iter().rfind(|text| setting_name(text) == name);
    let names = was.iter().chain(is).map(|text| setting_name(text));
    names.filter(|name| last(was, name) != last(is, name)).collect()
}

/// In what they differ: names of files, settings and images, and the text.
pub(super) fn differences(
    old: Option<StepContext<'_>>,
    new: Option<StepContext<'_>>,
) -> BTreeSet<String> {
    let (Some(old), Some(new)) = (old, new) else { return ["a step".to_owned()].into() };
    let mut found = BTreeSet::new();
    if let (Some(was), Some(is)) = (&old.step.files, &new.step.files) {
        let Differences { changed, new: added, removed, folders } = Differences::between(was, is);
        let is_another = (was.count, was.bytes) != (is.count, is.bytes);
        let paths = [changed, added, removed].concat();
        if folders || (paths.is_empty() && is_another) {
            found.insert("files".to_owned());
        }
        found.extend(paths.into_iter().map(|path| format!("file {path}")));
    }
    match old.values().zip(new.values()) {
        Some((was, is)) if new.is_run() => {
            found.extend(others(&was, &is).into_iter().map(|name| format!("setting {name}")));
        }
        Some(_) => {}
        None => _ = found.insert("settings".to_owned()),
    }
    if let Some((reference, _)) = base_of(&new.step.name)
        && new
            .inputs
            .bases
            .iter()
            .any(|it| it.reference == reference && moved(it, old.inputs).is_some())
    {
        found.insert(format!("base {reference}"));
    }
    let is_written_so = new.step.is_told_whole() || old.step.written == new.step.written;
    if old.text() != new.text() || !is_written_so {
        found.insert(format!("text {}", new.text()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::StepResult;
    use crate::test_history::step;

    fn known(name: &str) -> StepEntry {
        StepEntry { written: Some("0".to_owned()), ..step(name, StepResult::Ran, 1.0) }
    }

    fn same(old: &str, new: &str) -> bool {
        let inputs = Inputs::default();
        let (old, new) = (known(old), known(new));
        is_same(
            StepContext { step: &old, inputs: &inputs },
            StepContext { step: &new, inputs: &inputs },
        )
    }

    #[test]
    fn where_texts_do_not_say_all_how_it_is_written_counts() {
        for name in ["[1/2] RUN login ***", "[1/2] RUN cat <<EOF"] {
            let inputs = Inputs::default();
            let step =
                |written: &str| StepEntry { written: Some(written.to_owned()), ..known(name) };
            let (one, other) = (step("0"), step("1"));
            let [old, same, new] =
                [&one, &one, &other].map(|step| StepContext { step, inputs: &inputs });
            assert!(is_same(old, same) && !is_same(old, new), "{name}");
            assert_eq!(differences(Some(old), Some(same)).len(), 0, "{name}");
            assert_eq!(differences(Some(old), Some(new)).len(), 1, "{name}");
        }
    }

    #[test]
    fn texts_tell_what_a_step_does() {
        assert!(same("[a 1/2] RUN make", "[b 3/4] RUN make"));
        assert!(!same("[a 1/2] RUN make", "[a 1/2] RUN make all"));
        assert!(same("[1/2] COPY --from=a /x /x", "[1/2] COPY --from=b /x /x"));
        assert!(!same("[1/2] COPY --from=a /x /x", "[1/2] COPY --from=a /x /y"));
    }

    #[test]
    fn which_cache_mount_it_has_is_no_part_of_a_step_unless_it_is_the_default_one() {
        let run = |options: &str| format!("[1/2] RUN --mount=type=cache,target=/c{options} make");
        assert!(same(&run(",id=a"), &run(",id=b")));
        assert!(same(&run(",id=a"), &run(",sharing=locked")));
        assert!(same(&run(""), &run(",id=/c,sharing=shared")));
        assert!(!same(&run(""), &run(",id=a")));
        assert!(!same(&run(",id=a"), &run(",id=a,uid=5")));
        let bind = |id: &str| format!("[1/2] RUN --mount=type=secret,id={id} make");
        assert!(!same(&bind("a"), &bind("b")));
    }

    #[test]
    fn settings_count_for_what_runs() {
        let with = |text: &str| Inputs { settings: vec![text.to_owned()], ..Inputs::default() };
        let (one, two) = (with("ENV A=1"), with("ENV A=2"));
        for (name, is_it) in [("[1/2] RUN make", false), ("[1/2] COPY a b", true)] {
            let step = StepEntry { settings: vec![0], ..known(name) };
            let [old, new] = [&one, &two].map(|inputs| StepContext { step: &step, inputs });
            assert_eq!(is_same(old, new), is_it, "{name}");
            let names: Vec<String> = differences(Some(old), Some(new)).into_iter().collect();
            assert_eq!(names, if is_it { vec![] } else { vec!["setting ENV A".to_owned()] });
        }
    }

    #[test]
    fn values_of_arguments_that_were_given_count() {
        let with = |value: &str| Inputs {
            settings: vec!["ARG A".to_owned()],
            args: [("A".to_owned(), value.to_owned())].into(),
            ..Inputs::default()
        };
        let step = StepEntry { settings: vec![0], ..known("[1/2] RUN make") };
        for (was, is, same) in [("1", "1", true), ("1", "2", false), ("***", "***", false)] {
            let (was, is) = (with(was), with(is));
            let [old, new] = [&was, &is].map(|inputs| StepContext { step: &step, inputs });
            assert_eq!(is_same(old, new), same);
            assert_eq!(differences(Some(old), Some(new)).is_empty(), same);
        }
    }

    #[test]
    fn what_is_not_known_is_another_thing() {
        let (step, inputs) = (step("[1/2] RUN make", StepResult::Ran, 1.0), Inputs::default());
        let given = StepContext { step: &step, inputs: &inputs };
        assert!(!is_same(given, given));
        assert!(!differences(Some(given), Some(given)).is_empty());
        assert!(!differences(None, Some(given)).is_empty());
    }
}

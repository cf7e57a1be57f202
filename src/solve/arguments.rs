//! Build arguments of the command line that nothing reads: most often misspelt ones.

use std::collections::BTreeSet;

use crate::dockerfile::{declared_args, is_predefined_arg};
use crate::nearest::nearest;
use crate::solve::dockerfile_source;
use crate::solve::plan::BuildPlan;

/// Returns a warning for each argument of the command line that no Dockerfile of `plan` declares. `given` are the values
/// of `--build-arg`, `overrides` those of `--set`. There is none where a Dockerfile is not on this machine, or is read by
/// a frontend of its own.
pub fn unread(given: &[String], overrides: &[String], plan: &BuildPlan) -> Vec<String> {
    let mut declared = BTreeSet::new();
    for step in &plan.steps {
        let text = dockerfile_source::of_target(&step.target).map(|(_, text)| text);
        let Some(names) = text.and_then(|text| declared_args(&text)) else { return Vec::new() };
        declared.extend(names);
    }
    let of_options = given.iter().map(String::as_str);
    // TARGET.args.NAME=VALUE
    let of_overrides = overrides.iter().filter_map(|text| {
        let mut parts = text.split('=').next()?.trim_end_matches('+').splitn(3, '.').skip(1);
        (parts.next()? == "args").then(|| parts.next())?
    });
    let names = of_options.chain(of_overrides).map(|text| text.split('=').next().unwrap_or(text));
    let unread: BTreeSet<&str> =
        names.filter(|name| !declared.contains(*name) && !is_predefined_arg(name)).collect();
    let warning = |name: &str| {
        let near = nearest(name, declared.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!(
            "build argument {name} has no effect: no Dockerfile of this build declares it{near}"
        )
    };
    unread.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::targets::target::Target;

    fn warnings(given: &[&str], overrides: &[&str], dockerfiles: &[&str]) -> Vec<String> {
        let [given, overrides] = [given, overrides]
            .map(|words| words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let target = |(index, text): (usize, &&str)| Target {
            name: format!("t{index}"),
            dockerfile_inline: Some((*text).to_owned()),
            ..Target::default()
        };
        let targets = dockerfiles.iter().enumerate().map(target).collect();
        unread(&given, &overrides, &BuildPlan::new(targets).unwrap())
    }

    #[test]
    fn an_argument_that_no_dockerfile_declares_is_named() {
        let files = ["FROM x\nARG VERSION\n", "FROM x\nARG OTHER=1\n"];
        let with = |given: &[&str], overrides: &[&str]| warnings(given, overrides, &files);
        assert!(with(&["VERSION=1", "OTHER"], &[]).is_empty());
        assert!(with(&["http_proxy=x"], &["t0.tags=a.b"]).is_empty());
        let said = "build argument VERISON has no effect: no Dockerfile of this build declares it; did you mean VERSION?";
        assert_eq!(with(&["VERISON=1"], &[]), [said]);
        assert_eq!(with(&[], &["*.args.VERISON=1", "t0.args.VERISON=2"]), [said]);
    }

    #[test]
    fn nothing_is_said_of_a_file_that_another_frontend_reads() {
        assert!(warnings(&["X=1"], &[], &["# syntax=a/b\nFROM x"]).is_empty());
    }
}

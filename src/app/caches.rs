//! Which branch is built, and whether it may write to a layer cache: by the variables that each CI documents, and outside of
//! CI by the folder of git.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environment::Environment;
use crate::files::read;
use crate::targets::caches::{CachePolicy, CacheSetting};

/// The branch whose cache everybody reads, where nothing says otherwise.
const MAIN: &str = "main";
/// Events of GitHub Actions whose code is that of the branch they name, which only who may push to it has changed.
const TRUSTED_EVENTS: [&str; 6] =
    ["push", "schedule", "workflow_dispatch", "repository_dispatch", "release", "create"];
/// Sources of pipelines of GitLab whose code is somebody else's.
const REQUESTS: [&str; 2] = ["merge_request_event", "external_pull_request_event"];

/// What is read and written by builds of `project`, whose files are in `directory`.
pub(super) fn policy(
    environment: &Environment,
    directory: &Path,
    project: &str,
    setting: &CacheSetting,
) -> CachePolicy {
    let refs = if environment.flag("GITHUB_ACTIONS") {
        on_github(environment)
    } else if environment.flag("GITLAB_CI") {
        on_gitlab(environment)
    } else {
        by_git(directory, environment.flag("CI"), setting)
    };
    let Refs { own, target, default, refusal } = refs;
    let default = default.unwrap_or_else(|| MAIN.to_owned());
    let mut reads: Vec<String> = Vec::new();
    for branch in own.iter().chain(&target).chain([&default]) {
        if !reads.contains(branch) {
            reads.push(branch.clone());
        }
    }
    CachePolicy { project: project.to_owned(), own, reads, refusal }
}

/// What the surroundings say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refs {
    own: Option<String>,
    /// Where a pull request wants to be merged.
    target: Option<String>,
    default: Option<String>,
    refusal: Option<String>,
}

/// "Variables" and "Events that trigger workflows" of GitHub's manual.
fn on_github(environment: &Environment) -> Refs {
    let get = |name: &str| environment.get(name).map(str::to_owned);
    let event = environment.get("GITHUB_EVENT_NAME").unwrap_or_default();
    let is_branch = environment.get("GITHUB_REF_TYPE").is_none_or(|kind| kind == "branch");
    let own = get("GITHUB_HEAD_REF").or_else(|| get("GITHUB_REF_NAME").filter(|_| is_branch));
    let refusal = if event.starts_with("pull_request") {
        Some("a pull request does not write".to_owned())
    } else if !TRUSTED_EVENTS.contains(&event) {
        Some(format!(
            "a run for {} does not write",
            if event.is_empty() { "no event" } else { event }
        ))
    } else if own.is_none() {
        Some("a tag does not write".to_owned())
    } else {
        None
    };
    Refs { own, target: get("GITHUB_BASE_REF"), default: default_branch(environment), refusal }
}

/// The default branch, which GitHub says in the event alone.
fn default_branch(environment: &Environment) -> Option<String> {
    let text = read::text(Path::new(environment.get("GITHUB_EVENT_PATH")?), read::DOCUMENT).ok()?;
    let event: Value = serde_json::from_str(&text).ok()?;
    Some(event.get("repository")?.get("default_branch")?.as_str()?.to_owned())
}

/// "Predefined CI/CD variables" of GitLab's manual.
fn on_gitlab(environment: &Environment) -> Refs {
    let get = |name: &str| environment.get(name).map(str::to_owned);
    let of_request = get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME");
    let source = environment.get("CI_PIPELINE_SOURCE");
    // A child pipeline has another source than the one of the merge request that began it.
    let is_request = of_request.is_some() || source.is_some_and(|it| REQUESTS.contains(&it));
    let own = of_request.or_else(|| get("CI_COMMIT_BRANCH"));
    let refusal = if is_request {
        Some("a merge request does not write".to_owned())
    } else if own.is_none() {
        Some("a tag does not write".to_owned())
    } else {
        None
    };
    let target = get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME");
    Refs { own, target, default: get("CI_DEFAULT_BRANCH"), refusal }
}

/// The branch that is checked out. Files may be changed that nobody has seen, so what others read is not written.
fn by_git(directory: &Path, is_ci: bool, setting: &CacheSetting) -> Refs {
    let refusal = match (is_ci, setting.is_folder()) {
        (_, true) => None,
        (true, false) => Some("whether this run is to be trusted is not known; write=true says so"),
        (false, false) => Some("only CI writes; write=true has this machine write, too"),
    };
    let refusal = refusal.map(str::to_owned);
    let Some(git) = git_folder(directory) else {
        // Where there are no branches there is one cache.
        return Refs { own: Some(MAIN.to_owned()), refusal, ..Refs::default() };
    };
    let own = symbolic(&git.join("HEAD"), "refs/heads/");
    // A further working tree has the references of the first one.
    let common = read::text(&git.join("commondir"), read::TEXT);
    let common = common.map_or_else(|_| git.clone(), |path| git.join(path.trim()));
    let default = symbolic(&common.join("refs/remotes/origin/HEAD"), "refs/remotes/origin/");
    Refs { own, target: None, default, refusal }
}

/// The folder of git for `directory`.
fn git_folder(directory: &Path) -> Option<PathBuf> {
    let git = directory.ancestors().map(|it| it.join(".git")).find(|it| it.exists())?;
    if git.is_dir() {
        return Some(git);
    }
    let text = read::text(&git, read::TEXT).ok()?;
    let path = text.trim().strip_prefix("gitdir:")?.trim();
    Some(git.parent()?.join(path))
}

/// What a symbolic reference below `prefix` names.
fn symbolic(path: &Path, prefix: &str) -> Option<String> {
    let text = read::text(path, read::TEXT).ok()?;
    Some(text.trim().strip_prefix("ref: ")?.strip_prefix(prefix)?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(variables: &[(&str, &str)], directory: &Path, caches: &str) -> String {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let environment = Environment { variables: variables.collect(), ..Environment::default() };
        let setting = CacheSetting::read(caches, directory).unwrap().unwrap();
        let policy = policy(&environment, directory, "shop", &setting);
        let own = policy.own.unwrap_or_else(|| "-".to_owned());
        let refusal = policy.refusal.unwrap_or_else(|| "writes".to_owned());
        format!("{own}: reads {}; {refusal}", policy.reads.join(", "))
    }

    #[test]
    fn in_ci_the_event_decides() {
        let folder = tempfile::tempdir().unwrap();
        let event = folder.path().join("event.json");
        std::fs::write(&event, r#"{"repository": {"default_branch": "trunk"}}"#).unwrap();
        let event = event.to_str().unwrap();
        let github = |event_name: &str, more: &[(&str, &str)]| {
            let own =
                [("GITHUB_ACTIONS", "true"), ("CI", "true"), ("GITHUB_EVENT_NAME", event_name)];
            found(&[&own[..], &[("GITHUB_EVENT_PATH", event)], more].concat(), folder.path(), "gha")
        };
        let on = |name: &'static str| [("GITHUB_REF_TYPE", "branch"), ("GITHUB_REF_NAME", name)];
        assert_eq!(github("push", &on("trunk")), "trunk: reads trunk; writes");
        assert_eq!(github("push", &on("fix")), "fix: reads fix, trunk; writes");
        let tag = [("GITHUB_REF_TYPE", "tag"), ("GITHUB_REF_NAME", "v1")];
        assert_eq!(github("push", &tag), "-: reads trunk; a tag does not write");
        let request = [
            ("GITHUB_REF_NAME", "7/merge"),
            ("GITHUB_HEAD_REF", "fix"),
            ("GITHUB_BASE_REF", "next"),
        ];
        let said = "fix: reads fix, next, trunk; a pull request does not write";
        assert_eq!(github("pull_request", &request), said);
        assert_eq!(github("pull_request_target", &request), said);
        // These run for the default branch with what somebody else sent.
        let said = "trunk: reads trunk; a run for issue_comment does not write";
        assert_eq!(github("issue_comment", &on("trunk")), said);

        let gitlab = |more: &[(&str, &str)]| {
            let own = [("GITLAB_CI", "true"), ("CI_DEFAULT_BRANCH", "main")];
            found(&[&own[..], more].concat(), folder.path(), "r.example/cache")
        };
        assert_eq!(gitlab(&[("CI_COMMIT_BRANCH", "fix")]), "fix: reads fix, main; writes");
        assert_eq!(gitlab(&[("CI_COMMIT_TAG", "v1")]), "-: reads main; a tag does not write");
        let request = [
            ("CI_PIPELINE_SOURCE", "merge_request_event"),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "fix"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "next"),
        ];
        let said = "fix: reads fix, next, main; a merge request does not write";
        assert_eq!(gitlab(&request), said);
        let child = [&[("CI_PIPELINE_SOURCE", "parent_pipeline")], &request[1..]].concat();
        assert_eq!(gitlab(&child), said);
    }

    #[test]
    fn elsewhere_git_says_the_branch_and_a_folder_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let app = folder.path().join("app");
        std::fs::create_dir(&app).unwrap();
        let registry = "only CI writes; write=true has this machine write, too";
        assert_eq!(found(&[], &app, "dir:c"), "main: reads main; writes");
        assert_eq!(found(&[], &app, "r.example/c"), format!("main: reads main; {registry}"));
        write(".git/HEAD", "ref: refs/heads/a/b\n");
        write(".git/refs/remotes/origin/HEAD", "ref: refs/remotes/origin/trunk\n");
        assert_eq!(found(&[], &app, "dir:c"), "a/b: reads a/b, trunk; writes");
        assert_eq!(found(&[], &app, "r.example/c"), format!("a/b: reads a/b, trunk; {registry}"));
        let said = found(&[("CI", "1")], &app, "r.example/c");
        assert!(
            said.ends_with(
                "trunk; whether this run is to be trusted is not known; write=true says so"
            ),
            "{said}"
        );
        // A further working tree.
        write("tree/.git", "gitdir: ../.git/worktrees/tree\n");
        write(".git/worktrees/tree/HEAD", "ref: refs/heads/c\n");
        write(".git/worktrees/tree/commondir", "../..\n");
        let tree = folder.path().join("tree");
        assert_eq!(found(&[], &tree, "dir:c"), "c: reads c, trunk; writes");
        write(".git/HEAD", "4b825dc642cb6eb9a060e54bf8d69288fbee4904\n");
        assert_eq!(found(&[], &app, "dir:c"), "-: reads trunk; writes");
    }
}

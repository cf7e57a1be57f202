//! The key by which a build finds its pod: builds of one project are to find the cache of each other.

use crate::environment::Environment;

/// What the user sets.
const SET: &str = "DOC2MD_DOCKER_POD_KEY";
/// The CIs that tell which repository is built, and how.
const CIS: [(&str, &str); 2] =
    [("GITHUB_ACTIONS", "GITHUB_REPOSITORY"), ("GITLAB_CI", "CI_PROJECT_PATH")];

/// The key of builds of `project`: what the user says; in CI, where paths are others on every runner, the repository and the
/// project; else the working directory, which is the key of `docker buildx bake`.
pub(super) fn of_project(environment: &Environment, project: &str) -> String {
    if let Some(key) = environment.get(SET) {
        return key.to_owned();
    }
    let repository = CIS
        .into_iter()
        .filter(|(ci, _)| environment.flag(ci))
        .find_map(|(_, repository)| environment.get(repository));
    match repository {
        Some(repository) => format!("{repository}:{project}"),
        None => environment.working_dir.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_bakes_outside_of_ci() {
        let key = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let environment = Environment {
                variables: variables.collect(),
                working_dir: "/home/me/app".into(),
                ..Environment::default()
            };
            of_project(&environment, "app")
        };
        assert_eq!(key(&[]), "/home/me/app");
        assert_eq!(key(&[("CI", "true"), ("GITHUB_REPOSITORY", "acme/app")]), "/home/me/app");
        let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/app")];
        assert_eq!(key(&github), "acme/app:app");
        assert_eq!(key(&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "g/h")]), "g/h:app");
        assert_eq!(key(&[("GITLAB_CI", "true")]), "/home/me/app");
        assert_eq!(key(&[github[0], github[1], (SET, "/home/me/app")]), "/home/me/app");
        assert_eq!(key(&[(SET, "")]), "/home/me/app");
    }
}

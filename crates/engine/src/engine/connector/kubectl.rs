//! kubectl as a child process: asks a cluster for JSON, and leads to BuildKit in a pod. It brings its own logins.

use std::collections::BTreeMap;

use super::child::{self, Program};
use super::inside::{DIAL, INSTALL_KUBECTL, kubectl_hint, name};
use super::{ConnectError, ConnectErrorKind, Connector, settings_error};

/// How long the cluster may take to answer.
const PATIENCE: &str = "--request-timeout=20s";

/// A namespace of a cluster, as kubectl reaches it.
#[derive(Debug, Clone)]
pub struct Kubectl {
    /// What comes before every command.
    options: Vec<String>,
    environment: BTreeMap<String, String>,
    /// What messages call it: builder and node.
    name: String,
}

impl Kubectl {
    /// With the configuration file `kubeconfig` and in `namespace`, by default kubectl's own. Messages call it `called`.
    ///
    /// # Errors
    /// One of them cannot stand on a command line.
    pub fn new(
        called: &str,
        kubeconfig: Option<&str>,
        namespace: Option<&str>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectError> {
        let wrong = |what: &str| settings_error(format!("the endpoint of {called} {what}"));
        let mut environment = environment.clone();
        let mut options = Vec::new();
        match kubeconfig {
            Some(path) if path.contains(char::is_control) => {
                return Err(wrong("has a control character in `kubeconfig`"));
            }
            // Several files: only the variable takes them.
            Some(paths) if paths.contains(':') => {
                environment.insert("KUBECONFIG".to_owned(), paths.to_owned());
            }
            Some(path) => options.push(format!("--kubeconfig={path}")),
            None => {}
        }
        if let Some(namespace) = namespace {
            let namespace = name(namespace, "namespace", ".-").map_err(|what| wrong(&what))?;
            options.push(format!("--namespace={namespace}"));
        }
        Ok(Self { options, environment, name: called.to_owned() })
    }

    /// What `kubectl get ARGUMENTS -o json` writes; nothing where it finds nothing and may. `place` is where that is, for
    /// messages: `deployment `b``.
    ///
    /// # Errors
    /// kubectl is not there, may not or cannot ask, or writes too much.
    pub async fn get(&self, arguments: &[&str], place: &str) -> Result<Vec<u8>, ConnectError> {
        let mut all = self.options.clone();
        all.extend([PATIENCE, "get"].map(str::to_owned));
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all.extend(["-o", "json"].map(str::to_owned));
        let program =
            Program { name: "kubectl", arguments: all, install: INSTALL_KUBECTL, hint: get_hint };
        child::output(program, &self.environment, &self.place(place)).await
    }

    /// How BuildKit in this container of this pod is reached.
    ///
    /// # Errors
    /// One of the names cannot stand on a command line.
    pub fn pod(&self, pod: &str, container: &str) -> Result<Connector, ConnectError> {
        let wrong = |what: String| settings_error(format!("{}: kubectl {what}", self.name));
        let (pod, container) = (
            name(pod, "pod", ".-").map_err(wrong)?,
            name(container, "container", ".-").map_err(wrong)?,
        );
        let mut arguments = self.options.clone();
        arguments.extend(["exec", "-i", pod].map(str::to_owned));
        arguments.push(format!("--container={container}"));
        arguments.extend(["--", DIAL[0], DIAL[1]].map(str::to_owned));
        let program =
            Program { name: "kubectl", arguments, install: INSTALL_KUBECTL, hint: kubectl_hint };
        let place = format!("pod `{pod}`");
        Ok(Connector::through(program, &self.environment, &self.place(&place), place))
    }

    /// Builder, node and a part of the cluster, for messages.
    pub fn place(&self, place: &str) -> String {
        format!("{} in the {place}", self.name)
    }
}

/// What a refused `get` means.
fn get_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    if stderr.contains("orbidden") {
        return (
            ConnectErrorKind::PermissionDenied,
            "your role in that namespace must be allowed to `get` deployments, to `list` pods and to `create` pods/exec",
        );
    }
    let is_unset =
        ["no such file", "no configuration has been provided", "incomplete configuration"];
    if is_unset.iter().any(|text| stderr.contains(text)) {
        return (
            ConnectErrorKind::NotThere,
            "kubectl's configuration is missing: the builder's endpoint names it (`builders inspect`), else KUBECONFIG",
        );
    }
    match kubectl_hint(code, stderr) {
        (ConnectErrorKind::Other, _) => {
            (ConnectErrorKind::Other, "try the same by hand: kubectl get deployments")
        }
        known => known,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kubectl(kubeconfig: Option<&str>, namespace: Option<&str>) -> Result<Kubectl, String> {
        let made = Kubectl::new("the builder `k`", kubeconfig, namespace, &BTreeMap::new());
        made.map_err(|error| error.message)
    }

    #[test]
    fn its_options_are_those_of_the_builder() {
        let here = kubectl(Some("/home/me/k s"), Some("ci")).unwrap();
        assert_eq!(here.options, ["--kubeconfig=/home/me/k s", "--namespace=ci"]);
        assert!(kubectl(None, None).unwrap().options.is_empty());
        let several = kubectl(Some("/a:/b"), None).unwrap();
        assert!(several.options.is_empty());
        assert_eq!(several.environment["KUBECONFIG"], "/a:/b");
        assert_eq!(
            kubectl(None, Some("--all")).unwrap_err(),
            "the endpoint of the builder `k` names no namespace"
        );
        kubectl(Some("/a\n"), None).unwrap_err();
    }

    #[test]
    fn names_never_become_options() {
        let here = kubectl(None, None).unwrap();
        let pod = here.pod("b-0", "buildkitd").unwrap();
        assert_eq!(pod.peer(), "the builder `k` in the pod `b-0`");
        for (pod, container) in [("-v", "c"), ("b;c", "c"), ("", "c"), ("b", "--x"), ("b", "")] {
            here.pod(pod, container).unwrap_err();
        }
    }

    /// The words of kubectl 1.20 and 1.32.
    #[test]
    fn what_get_complains_of_is_known() {
        use ConnectErrorKind::{NotThere, Other, PermissionDenied};
        for (stderr, kind, hint) in [
            (
                "Error from server (Forbidden): deployments.apps \"b\" is forbidden: User \"x\" cannot get resource",
                PermissionDenied,
                "`list` pods",
            ),
            ("error: stat /k: no such file or directory", NotThere, "KUBECONFIG"),
            (
                "error: You must be logged in to the server (Unauthorized)",
                PermissionDenied,
                "log in",
            ),
            ("something else", Other, "kubectl get deployments"),
        ] {
            let (found, told) = get_hint(Some(1), stderr);
            assert_eq!(found, kind, "{stderr}");
            assert!(told.contains(hint), "{stderr}: {told}");
        }
    }
}

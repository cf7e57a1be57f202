//! BuildKit in a pod or a container that another program reaches: addresses as `buildctl` has them, and the command that
//! ends at `buildctl dial-stdio` in there. kubectl, podman and nerdctl bring their own logins and settings.
//!
//! Source: buildctl's addresses, BuildKit `client/connhelper`; what kubectl complains of was seen, the others' was not.

use std::collections::BTreeMap;

use super::child::{Hint, Program};
use super::error::ConnectErrorKind;

/// What runs in there.
pub(super) const DIAL: [&str; 2] = ["buildctl", "dial-stdio"];
/// What to do without kubectl.
pub(super) const INSTALL_KUBECTL: &str =
    "install kubectl, or name BuildKit's own address (tcp://HOST:PORT)";

/// The program that reaches `address`; `None` where it is of another kind. Returns what is wrong as a fragment that reads
/// after the quoted address.
pub(super) fn program(address: &str) -> Option<Result<Program, String>> {
    let (scheme, rest) = address.trim().split_once("://")?;
    match scheme {
        "kube-pod" => Some(in_pod(rest)),
        "podman-container" => Some(in_container("podman", "install podman", rest)),
        "nerdctl-container" => Some(in_container("nerdctl", "install nerdctl", rest)),
        _ => None,
    }
}

/// The container and the docker context that `address` names; `None` where it is of another kind. buildctl runs docker for
/// these; here the engine is asked itself. Returns what is wrong as a fragment that reads after the quoted address.
pub(super) fn docker_container(address: &str) -> Option<Result<(String, Option<String>), String>> {
    let rest = address.trim().strip_prefix("docker-container://")?;
    Some(container_and_context(rest))
}

fn container_and_context(rest: &str) -> Result<(String, Option<String>), String> {
    let (container, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut context = None;
    for (key, value) in pairs(query)? {
        match key.as_str() {
            "context" if !value.is_empty() => context = Some(value),
            "context" => return Err("has an empty `context`".to_owned()),
            _ => return Err(format!("has the unknown key `{key}`: there is context")),
        }
    }
    Ok((name(container, "container", "_.-")?.to_owned(), context))
}

fn in_pod(rest: &str) -> Result<Program, String> {
    let (pod, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut arguments = Vec::new();
    let mut container = None;
    for (key, value) in pairs(query)? {
        match key.as_str() {
            "context" if !value.is_empty() => arguments.push(format!("--context={value}")),
            "namespace" => {
                arguments.push(format!("--namespace={}", name(&value, "namespace", ".-")?));
            }
            "container" => container = Some(name(&value, "container", ".-")?.to_owned()),
            "context" => return Err("has an empty `context`".to_owned()),
            _ => {
                return Err(format!(
                    "has the unknown key `{key}`: there are context, namespace and container"
                ));
            }
        }
    }
    arguments.extend(["exec", "-i", name(pod, "pod", ".-")?].map(str::to_owned));
    arguments.extend(container.map(|container| format!("--container={container}")));
    arguments.extend(["--", DIAL[0], DIAL[1]].map(str::to_owned));
    Ok(Program { name: "kubectl", arguments, install: INSTALL_KUBECTL, hint: kubectl_hint })
}

fn in_container(
    program: &'static str,
    install: &'static str,
    rest: &str,
) -> Result<Program, String> {
    let hint: Hint = if program == "podman" { podman_hint } else { nerdctl_hint };
    let container = name(rest, "container", "_.-")?;
    let arguments = ["exec", "-i", container, DIAL[0], DIAL[1]].map(str::to_owned).to_vec();
    Ok(Program { name: program, arguments, install, hint })
}

/// A name as it may stand on a command line: what begins with a dash would be an option there.
pub(super) fn name<'a>(text: &'a str, what: &str, also: &str) -> Result<&'a str, String> {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
    match is_plain && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err(format!("names no {what}")),
    }
}

/// The keys and values of a query; each key once.
fn pairs(query: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.contains(char::is_control) {
            return Err(format!("has a control character in `{key}`"));
        }
        if pairs.insert(key.to_string(), value.into_owned()).is_some() {
            return Err(format!("has `{key}` twice"));
        }
    }
    Ok(pairs)
}

pub(super) fn kubectl_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    if says(&["context was not found", "context \"", "no context exists"]) {
        return (
            ConnectErrorKind::NotThere,
            "`kubectl config get-contexts` lists contexts; the address names one with ?context=",
        );
    }
    if says(&["Forbidden", "forbidden"]) {
        return (
            ConnectErrorKind::PermissionDenied,
            "your role in that namespace must be allowed to `get` pods and to `create` pods/exec",
        );
    }
    if says(&["Unauthorized", "must be logged in", "getting credentials"]) {
        return (
            ConnectErrorKind::PermissionDenied,
            "log in to the cluster: `kubectl get pods` must work",
        );
    }
    if says(&["(NotFound)", "not found in pod", "is not valid for pod"]) && !says(&["executable"]) {
        return (
            ConnectErrorKind::NotThere,
            "`kubectl get pods` lists pods; the address is kube-pod://POD?context=C&namespace=N&container=C",
        );
    }
    if says(&[
        "completed pod",
        "does not have a host assigned",
        "container not found",
        "is not running",
    ]) {
        return (
            ConnectErrorKind::NotThere,
            "the pod does not run: `kubectl describe pod` says why",
        );
    }
    if lacks_buildctl(code, stderr) {
        return (ConnectErrorKind::NotThere, IMAGE);
    }
    if says(&["refused", "Unable to connect", "no such host", "timeout", "i/o timeout"]) {
        return (
            ConnectErrorKind::Refused,
            "is the cluster up, and does kubectl's configuration name the right one?",
        );
    }
    (ConnectErrorKind::Other, "try the same by hand: kubectl exec POD -- buildctl debug workers")
}

fn podman_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    container_hint(
        code,
        stderr,
        [
            "`podman ps --all` lists containers",
            "start it: `podman start NAME`",
            "try the same by hand: podman exec NAME buildctl debug workers",
        ],
    )
}

fn nerdctl_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    container_hint(
        code,
        stderr,
        [
            "`nerdctl ps --all` lists containers",
            "start it: `nerdctl start NAME`",
            "try the same by hand: nerdctl exec NAME buildctl debug workers",
        ],
    )
}

/// `hints` are for a container that is missing, for one that does not run, and for all else.
fn container_hint(
    code: Option<i32>,
    stderr: &str,
    hints: [&'static str; 3],
) -> (ConnectErrorKind, &'static str) {
    let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    let [missing, stopped, other] = hints;
    if lacks_buildctl(code, stderr) {
        return (ConnectErrorKind::NotThere, IMAGE);
    }
    if says(&["no container with name", "no such container", "No such container"]) {
        return (ConnectErrorKind::NotThere, missing);
    }
    if says(&[
        "container state improper",
        "running containers",
        "is not running",
        "cannot exec in a stopped",
    ]) {
        return (ConnectErrorKind::NotThere, stopped);
    }
    (ConnectErrorKind::Other, other)
}

/// What is missing in an image without it.
const IMAGE: &str = "`buildctl` must be in the container, as in the image moby/buildkit";

fn lacks_buildctl(code: Option<i32>, stderr: &str) -> bool {
    code == Some(127)
        || stderr.contains("executable file not found")
        || stderr.contains("executable file `buildctl` not found")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(address: &str) -> String {
        let program = program(address).unwrap().unwrap();
        format!("{} {}", program.name, program.arguments.join(" "))
    }

    #[test]
    fn addresses_of_buildctl_become_its_commands() {
        assert_eq!(line("kube-pod://b-0"), "kubectl exec -i b-0 -- buildctl dial-stdio");
        assert_eq!(
            line("kube-pod://b-0?context=arn%3Aaws:eks/x+y&namespace=ci&container=buildkitd"),
            "kubectl --context=arn:aws:eks/x y --namespace=ci exec -i b-0 --container=buildkitd -- buildctl dial-stdio"
        );
        assert_eq!(line("podman-container://b_1"), "podman exec -i b_1 buildctl dial-stdio");
        assert_eq!(line("nerdctl-container://b"), "nerdctl exec -i b buildctl dial-stdio");
        assert!(program("tcp://b:1").is_none());
        assert!(program("b").is_none());
    }

    #[test]
    fn containers_of_docker_are_told_with_their_context() {
        let read = |address: &str| docker_container(address).unwrap();
        assert_eq!(read("docker-container://b_1").unwrap(), ("b_1".to_owned(), None));
        let far = read("docker-container://b?context=my%20far").unwrap();
        assert_eq!(far, ("b".to_owned(), Some("my far".to_owned())));
        assert!(docker_container("podman-container://b").is_none());
        for (address, wrong) in [
            ("docker-container://", "names no container"),
            ("docker-container://-i", "names no container"),
            ("docker-container://a/b", "names no container"),
            ("docker-container://b?context=", "has an empty `context`"),
            ("docker-container://b?ctx=x", "has the unknown key `ctx`: there is context"),
        ] {
            assert_eq!(read(address).unwrap_err(), wrong, "{address}");
        }
    }

    #[test]
    fn addresses_that_are_none_are_told() {
        for (address, wrong) in [
            ("kube-pod://", "names no pod"),
            ("kube-pod://-v", "names no pod"),
            ("kube-pod://b/other", "names no pod"),
            ("kube-pod://b?namespace=--all", "names no namespace"),
            ("kube-pod://b?container=", "names no container"),
            ("kube-pod://b?context=", "has an empty `context`"),
            (
                "kube-pod://b?ns=x",
                "has the unknown key `ns`: there are context, namespace and container",
            ),
            ("kube-pod://b?namespace=x&namespace=y", "has `namespace` twice"),
            ("kube-pod://b?context=%0a", "has a control character in `context`"),
            ("podman-container://--latest", "names no container"),
            ("nerdctl-container://a b", "names no container"),
        ] {
            assert_eq!(program(address).unwrap().unwrap_err(), wrong, "{address}");
        }
    }

    /// What kubectl 1.20 and 1.32 wrote against a server that answers so.
    #[test]
    fn what_kubectl_says_is_known() {
        use ConnectErrorKind::{NotThere, Other, PermissionDenied, Refused};
        for (stderr, kind, hint) in [
            (
                "Error from server (NotFound): pods \"none\" not found",
                NotThere,
                "`kubectl get pods`",
            ),
            (
                "Error from server (Forbidden): pods \"b\" is forbidden: User \"x\" cannot create resource \"pods/exec\"",
                PermissionDenied,
                "pods/exec",
            ),
            (
                "error: You must be logged in to the server (Unauthorized)",
                PermissionDenied,
                "log in",
            ),
            (
                "error: cannot exec into a container in a completed pod; current phase is Succeeded",
                NotThere,
                "does not run",
            ),
            (
                "Error in configuration: context was not found for specified context: nope",
                NotThere,
                "get-contexts",
            ),
            (
                "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
                Refused,
                "is the cluster up",
            ),
            (
                "exec: \"buildctl\": executable file not found in $PATH: unknown",
                NotThere,
                "moby/buildkit",
            ),
            ("something else", Other, "by hand"),
        ] {
            let (found, told) = kubectl_hint(Some(1), stderr);
            assert_eq!(found, kind, "{stderr}");
            assert!(told.contains(hint), "{stderr}: {told}");
        }
    }

    #[test]
    fn what_podman_and_nerdctl_say_is_known() {
        for (stderr, hint) in [
            ("Error: no container with name or ID \"b\" found: no such container", "podman ps"),
            (
                "Error: can only create exec sessions on running containers: container state improper",
                "podman start",
            ),
            ("crun: executable file `buildctl` not found in $PATH", "moby/buildkit"),
            ("something else", "by hand: podman"),
        ] {
            let (_, told) = podman_hint(Some(125), stderr);
            assert!(told.contains(hint), "{stderr}: {told}");
        }
        let (kind, told) = nerdctl_hint(Some(1), "level=fatal msg=\"no such container b\"");
        assert_eq!(
            (kind, told),
            (ConnectErrorKind::NotThere, "`nerdctl ps --all` lists containers")
        );
    }
}

//! Whether builds resolve names, as findings.

use std::net::IpAddr;

use super::finding::{fine, note, problem, warning};
use super::{Finding, Verdict};
use crate::buildkit::{Lookup, LookupFailure};

const CHECK: &str = "dns";
/// Docker docs, "dockerd", `--dns`: a file has a list of the same name.
const OTHER_SERVER: &str = "`\"dns\": [\"1.1.1.1\"]` in daemon.json, or a server of your network, and a restart of the engine";
const NO_LOOPBACK: &str = "a loopback address is the step itself, where nothing answers: `\"dns\": [\"1.1.1.1\"]` in daemon.json, or a \
    server of your network, and a restart of the engine";
const FIREWALL: &str = "let UDP port 53 pass from the engine's network to it, or name another one: `\"dns\": [\"1.1.1.1\"]` in daemon.json and a \
    restart of the engine";

/// What is to be said of each name that was looked up.
pub(super) fn findings(
    lookups: Option<&Result<Vec<Lookup>, String>>,
    has_proxy: bool,
) -> Vec<Finding> {
    match lookups {
        None => Vec::new(),
        Some(Ok(lookups)) => lookups.iter().map(|lookup| finding(lookup, has_proxy)).collect(),
        Some(Err(why)) => {
            let message = format!("whether builds resolve names cannot be found out: {why}");
            vec![Finding { verdict: Verdict::Note, ..fine(CHECK, message) }]
        }
    }
}

fn finding(lookup: &Lookup, has_proxy: bool) -> Finding {
    let Lookup { name, is_resolved, failures } = lookup;
    let whys = failures.iter().map(|(server, failure)| why(server, failure));
    let whys = whys.collect::<Vec<_>>().join(", ");
    let is_any = |wanted: fn(&LookupFailure) -> bool| failures.iter().any(|(_, it)| wanted(it));
    if *is_resolved {
        let resolved = format!("builds resolve {name}");
        return match failures.as_slice() {
            [] => fine(CHECK, resolved),
            _ if is_any(|it| *it == LookupFailure::Silence) => {
                let message = format!("{resolved}, but {whys}: steps wait for that each time");
                warning(CHECK, message, OTHER_SERVER)
            }
            _ => note(CHECK, format!("{resolved}, but {whys}"), OTHER_SERVER),
        };
    }
    let message = format!("builds do not resolve {name}: {whys}");
    let is_loopback = failures.iter().any(|(server, _)| is_loopback(server));
    if has_proxy {
        let message = format!("{message}; with a proxy, resolving is its work");
        note(
            CHECK,
            message,
            "steps that do not use the proxy need another server: `dns` in daemon.json",
        )
    } else if is_any(|it| matches!(it, LookupFailure::Answer(_))) {
        warning(CHECK, message, OTHER_SERVER)
    } else if is_loopback {
        problem(CHECK, message, NO_LOOPBACK)
    } else {
        problem(CHECK, message, FIREWALL)
    }
}

/// What a server did instead of telling an address.
fn why(server: &str, failure: &LookupFailure) -> String {
    match failure {
        LookupFailure::Silence => format!("{server} does not answer"),
        LookupFailure::ClosedPort => format!("nothing listens at {server}"),
        LookupFailure::NoRoute => format!("{server} cannot be reached"),
        LookupFailure::Answer(code) => format!("{server} answers {code}"),
    }
}

fn is_loopback(server: &str) -> bool {
    server.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(is_resolved: bool, failures: &[(&str, LookupFailure)], has_proxy: bool) -> Finding {
        let failures = failures.iter().map(|(server, why)| ((*server).to_owned(), why.clone()));
        let failures = failures.collect();
        let lookup = Lookup { name: "pypi.org".to_owned(), is_resolved, failures };
        let [finding] = findings(Some(&Ok(vec![lookup])), has_proxy).try_into().unwrap();
        assert_eq!(finding.check, "dns");
        assert_eq!(finding.advice.is_some(), finding.verdict != Verdict::Fine, "{finding:?}");
        finding
    }

    #[test]
    fn who_did_not_answer_is_named() {
        let code = |text: &str| LookupFailure::Answer(text.to_owned());
        let silent = ("203.0.113.1", LookupFailure::Silence);
        let closed = ("127.0.0.53", LookupFailure::ClosedPort);
        let far = ("2001:db8::1", LookupFailure::NoRoute);
        let broken = ("10.0.0.2", code("SERVFAIL"));
        let ignorant = ("10.0.0.2", code("NXDOMAIN"));
        for (is_resolved, failures, verdict, says, advises) in [
            (true, vec![], Verdict::Fine, "builds resolve pypi.org", ""),
            (
                true,
                vec![silent.clone()],
                Verdict::Warning,
                "resolve pypi.org, but 203.0.113.1 does not answer: steps wait",
                "restart",
            ),
            (
                true,
                vec![broken.clone()],
                Verdict::Note,
                "resolve pypi.org, but 10.0.0.2 answers SERVFAIL",
                "restart",
            ),
            (
                false,
                vec![silent.clone()],
                Verdict::Problem,
                "do not resolve pypi.org: 203.0.113.1 does not answer",
                "UDP port 53",
            ),
            (
                false,
                vec![closed],
                Verdict::Problem,
                "nothing listens at 127.0.0.53",
                "a loopback address is the step itself",
            ),
            (false, vec![far], Verdict::Problem, "2001:db8::1 cannot be reached", "UDP port 53"),
            (false, vec![ignorant], Verdict::Warning, "10.0.0.2 answers NXDOMAIN", "1.1.1.1"),
            // One of them answers.
            (
                false,
                vec![silent, broken],
                Verdict::Warning,
                "203.0.113.1 does not answer, 10.0.0.2 answers SERVFAIL",
                "1.1.1.1",
            ),
        ] {
            let finding = told(is_resolved, &failures, false);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.message.contains(says), "{finding:?} says nothing of {says}");
            assert!(finding.advice.unwrap_or_default().contains(advises), "{advises}");
        }
    }

    #[test]
    fn with_a_proxy_nobody_has_to_resolve() {
        let silent = [("203.0.113.1", LookupFailure::Silence)];
        let finding = told(false, &silent, true);
        assert_eq!(finding.verdict, Verdict::Note);
        assert!(finding.message.contains("with a proxy"), "{finding:?}");
        assert_eq!(told(true, &[], true).verdict, Verdict::Fine);
    }

    #[test]
    fn what_cannot_be_found_out_is_no_fault() {
        assert_eq!(findings(None, false), []);
        let [finding] = findings(Some(&Err("no program".to_owned())), false).try_into().unwrap();
        assert_eq!(finding.verdict, Verdict::Note);
        assert!(finding.message.ends_with("cannot be found out: no program"), "{finding:?}");
    }
}

//! What the output of a failed command says of the network or the disk it met, where its exit code says nothing.

use std::collections::BTreeMap;

use super::disk::FREE_SPACE;

/// Longest text that is looked for, less one: what may stand in the chunk before.
const OVERLAP: usize = 63;

/// Texts, and what helps where a command says one of them.
type Rule = (&'static [&'static str], &'static str);

/// Texts of pip, uv, curl, git, apt, busybox, npm and the libraries below them.
const RULES: &[Rule] = &[
    (
        &[
            "invalid peer certificate: UnknownIssuer",
            "CERTIFICATE_VERIFY_FAILED",
            "unable to get local issuer certificate",
            "self-signed certificate in certificate chain",
            "self signed certificate in certificate chain",
            "certificate signed by unknown authority",
            "server certificate verification failed",
        ],
        "a certificate is not trusted in the build, as where a network inspects TLS: give its CA bundle as a build secret. \
         Dockerfiles of `doc2md-docker init` take `--secret id=ca,src=/etc/ssl/certs/ca-certificates.crt`; others set \
         SSL_CERT_FILE (uv, Python) and PIP_CERT (pip) to the mounted secret",
    ),
    (
        &[
            "401 Unauthorized",
            "403 Forbidden",
            "401 Client Error",
            "403 Client Error",
            "401 Error, Credentials not correct",
        ],
        "a server wants a login: give it as a build secret, never as an argument. Dockerfiles of `doc2md-docker init` take \
         `--secret id=netrc,src=FILE`, a file of lines `machine HOST login USER password TOKEN`",
    ),
    (
        &["is not a trusted or secure host and is being ignored"],
        "pip does not ask an index without TLS: give it an `https://` address, or `--trusted-host HOST` beside it in the requirements",
    ),
    (
        &["407 Proxy Authentication Required", "HTTP code 407", "Received HTTP/1.1 407"],
        "the proxy wants a login. In docker's config.json user and password stand before the host in its address \
         (`proxies`, `default`, `httpsProxy`): steps get that as an argument, which is in no layer and in no cache key",
    ),
    (
        &[
            "Temporary failure in name resolution",
            "Name or service not known",
            "nodename nor servname provided",
            "failed to lookup address information",
            "Temporary failure resolving",
            "Could not resolve host",
            "Could not resolve proxy",
            "wget: bad address",
            "getaddrinfo EAI_AGAIN",
            "getaddrinfo ENOTFOUND",
            "Cannot connect to proxy",
            "Network is unreachable",
            "No route to host",
            "Connection timed out",
            "connection timed out",
            "Operation timed out",
            "operation timed out",
        ],
        "the step did not reach a server. `doc2md-docker doctor` looks up names as a step does; a step behind a \
         proxy needs it in docker's config.json (`proxies`) or as `--build-arg HTTPS_PROXY=URL`",
    ),
    (
        &[
            "No space left on device",
            "no space left on device",
            "Disk quota exceeded",
            "disk quota exceeded",
        ],
        FREE_SPACE,
    ),
    (
        &["unable to start container process: exec: ", "starting container process caused: exec: "],
        "the program that the step starts is not in the image, or cannot be run there; an image without `/bin/sh` takes commands \
         as a list: RUN [\"PROGRAM\", \"ARGUMENT\"]",
    ),
];

/// What the same tools say last, whatever kept them from the index: of use where nothing else was heard.
const LAST_RULES: &[Rule] = &[(
    &["(from versions: none)", "was not found in the package registry"],
    "the package index has nothing of that name. If it is spelled right, name the index of the private package where packages are \
     named: `--index-url` in requirements, `[[tool.uv.index]]` in pyproject.toml; its login is the secret `netrc`",
)];

/// What was heard, by the digest of the step.
#[derive(Debug, Default)]
pub struct OutputHints {
    steps: BTreeMap<String, Clue>,
}

#[derive(Debug, Default)]
struct Clue {
    /// The end of what came before.
    end: Vec<u8>,
    hint: Option<&'static str>,
    last: Option<&'static str>,
}

impl OutputHints {
    /// Listens to what a step writes.
    pub fn note(&mut self, step: &str, data: &[u8]) {
        let heard = self.steps.entry(step.to_owned()).or_default();
        let mut bytes = std::mem::take(&mut heard.end);
        bytes.extend_from_slice(data);
        let text = String::from_utf8_lossy(&bytes);
        heard.hint = latest(RULES, &text).or(heard.hint);
        heard.last = latest(LAST_RULES, &text).or(heard.last);
        heard.end = bytes.split_off(bytes.len().saturating_sub(OVERLAP));
    }

    /// The hint for a step, where its output calls for one.
    pub fn of_step(&self, step: &str) -> Option<&'static str> {
        let heard = self.steps.get(step)?;
        heard.hint.or(heard.last)
    }
}

/// What came last is nearest to the failure.
fn latest(rules: &[Rule], text: &str) -> Option<&'static str> {
    let found = rules.iter().filter_map(|(texts, hint)| {
        texts.iter().filter_map(|it| text.rfind(it)).max().map(|at| (at, *hint))
    });
    found.max().map(|(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hint(chunks: &[&str]) -> Option<&'static str> {
        let mut hints = OutputHints::default();
        chunks.iter().for_each(|chunk| hints.note("a", chunk.as_bytes()));
        assert_eq!(hints.of_step("b"), None);
        hints.of_step("a")
    }

    #[test]
    fn what_pip_and_uv_say_of_a_network_gets_a_hint() {
        for (said, wanted) in [
            ("  cause: invalid peer certificate: UnknownIssuer\n", "id=ca"),
            (
                "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed \
                 certificate in certificate chain (_ssl.c:1006)'))",
                "id=ca",
            ),
            (
                "HTTP status client error (401 Unauthorized) for url (https://h/simple/x/)",
                "id=netrc",
            ),
            ("ERROR: 403 Client Error: Forbidden for url", "id=netrc"),
            (
                "WARNING: The repository located at h is not a trusted or secure host and is being ignored. If",
                "--trusted-host",
            ),
            ("Tunnel connection failed: 407 Proxy Authentication Required", "user and password"),
            ("curl: (6) Could not resolve host: h", "doctor"),
            ("wget: bad address 'nobody.invalid'", "doctor"),
            ("dns error: failed to lookup address information: Try again", "doctor"),
            (
                "Because thing was not found in the package registry and you require thing",
                "tool.uv.index",
            ),
            ("OSError: [Errno 28] No space left on device", "clean --old"),
            (
                "runc run failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file",
                "as a list",
            ),
        ] {
            assert!(hint(&[said]).unwrap().contains(wanted), "{said}");
            for at in [1, said.len() / 2] {
                let (first, second) = said.split_at(at);
                assert!(hint(&[first, second]).unwrap().contains(wanted), "{said} at {at}");
            }
        }
        assert_eq!(hint(&["collecting", "error: no such package\n"]), None);
        let no_package = "(from versions: none)\nERROR: No matching distribution found for x\n";
        let offline =
            ["[Errno -3] Temporary failure in name resolution')': /simple/x/\n", no_package];
        assert!(hint(&offline).unwrap().contains("doctor"));
        assert!(hint(&[no_package]).unwrap().contains("--index-url"));
        let both = ["403 Forbidden, trying again\n", "CERTIFICATE_VERIFY_FAILED\n"];
        assert!(hint(&both).unwrap().contains("id=ca"));
    }

    #[test]
    fn every_text_fits_into_what_is_kept_of_the_chunk_before() {
        let texts = RULES.iter().chain(LAST_RULES).flat_map(|(texts, _)| *texts);
        assert!(texts.map(|it| it.len()).max().unwrap() <= OVERLAP + 1);
    }
}

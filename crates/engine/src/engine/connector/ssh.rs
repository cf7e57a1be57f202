//! Another machine behind ssh: its engine by `docker system dial-stdio` there, its BuildKit by `buildctl dial-stdio`.

use super::child::{Hint, Program};
use super::error::ConnectErrorKind;
use super::host::Host;

/// The command that ends at the engine on the other machine; `None` if `host` is not an ssh address.
pub(crate) fn to_engine(host: &Host) -> Option<Program> {
    let command = |socket: Option<&str>| match socket {
        Some(socket) => {
            vec!["docker".to_owned(), format!("--host=unix://{socket}"), "system".to_owned()]
        }
        None => vec!["docker".to_owned(), "system".to_owned()],
    };
    program(host, command, engine_hint)
}

/// The command that ends at BuildKit on the other machine; `None` if `host` is not an ssh address.
pub(crate) fn to_buildkit(host: &Host) -> Option<Program> {
    let command = |socket: Option<&str>| match socket {
        Some(socket) => {
            vec!["buildctl".to_owned(), "--addr".to_owned(), format!("unix://{socket}")]
        }
        None => vec!["buildctl".to_owned()],
    };
    program(host, command, buildkit_hint)
}

fn program(host: &Host, command: fn(Option<&str>) -> Vec<String>, hint: Hint) -> Option<Program> {
    let Host::Ssh { user, name, port, socket } = host else { return None };
    let mut arguments: Vec<String> = Vec::new();
    let mut push = |texts: &[&str]| arguments.extend(texts.iter().map(|text| (*text).to_owned()));
    if let Some(user) = user {
        push(&["-l", user]);
    }
    if let Some(port) = port {
        push(&["-p", &port.to_string()]);
    }
    // ssh runs in its own process group (see `child::open`), where a question on the terminal would stop
    // it for ever: BatchMode turns questions into errors.
    push(&["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T", "--", name]);
    arguments.extend(command(socket.as_deref()).iter().map(|word| quoted(word)));
    arguments.push("dial-stdio".to_owned());
    Some(Program { name: "ssh", arguments, install: "install the OpenSSH client", hint })
}

/// ssh hands its words to the remote shell in one line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// BuildKit's client must be there instead of docker's.
fn buildkit_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    if code == Some(127) {
        return (
            ConnectErrorKind::NotThere,
            "buildctl must be on PATH on that machine: `buildctl dial-stdio` is the other end",
        );
    }
    match engine_hint(code, stderr) {
        (ConnectErrorKind::Ssh, hint) if hint == BY_HAND => {
            (ConnectErrorKind::Ssh, "try the same by hand: ssh HOST buildctl debug workers")
        }
        known => known,
    }
}

/// What to try where nothing is known.
const BY_HAND: &str = "try the same by hand: ssh HOST docker system dial-stdio";

fn engine_hint(code: Option<i32>, stderr: &str) -> (ConnectErrorKind, &'static str) {
    let says = |text: &str| stderr.contains(text);
    if code == Some(127) {
        (
            ConnectErrorKind::NotThere,
            "the docker CLI must be on PATH on that machine: `docker system dial-stdio` is the other end",
        )
    } else if says("Host key verification failed") {
        (ConnectErrorKind::Ssh, "connect once by hand with ssh to accept the host's key")
    } else if says("permission denied while trying to connect")
        || says("docker.sock: connect: permission denied")
    {
        (ConnectErrorKind::PermissionDenied, "the user on that machine must be in its group docker")
    } else if says("Permission denied") {
        (
            ConnectErrorKind::PermissionDenied,
            "ssh must log in without asking: load the key into ssh-agent or name it in ~/.ssh/config",
        )
    } else if says("Connection refused") {
        (ConnectErrorKind::Refused, "is sshd running on that machine, and is the port right?")
    } else if says("Could not resolve hostname") {
        (ConnectErrorKind::NotThere, "check the host's name, or add it to ~/.ssh/config")
    } else if says("timed out") {
        (ConnectErrorKind::TimedOut, "is the machine up, and may this one reach it?")
    } else {
        (ConnectErrorKind::Ssh, BY_HAND)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::connector::host::parse;

    #[test]
    fn the_command_line_is_dial_stdio_behind_a_double_dash() {
        let line = |to: fn(&Host) -> Option<Program>, address: &str| {
            to(&parse(address, false).unwrap()).unwrap().arguments.join(" ")
        };
        let ssh = "-o ConnectTimeout=30 -o BatchMode=yes -T -- build";
        assert_eq!(
            line(to_engine, "ssh://me@build:2222"),
            format!("-l me -p 2222 {ssh} docker system dial-stdio")
        );
        assert_eq!(
            line(to_engine, "ssh://build/run/my docker.sock"),
            format!("{ssh} docker '--host=unix:///run/my docker.sock' system dial-stdio")
        );
        assert_eq!(line(to_buildkit, "ssh://build"), format!("{ssh} buildctl dial-stdio"));
        assert_eq!(
            line(to_buildkit, "ssh://me@build/run/b k.sock"),
            format!("-l me {ssh} buildctl --addr 'unix:///run/b k.sock' dial-stdio")
        );
        assert!(to_buildkit(&parse("unix:///s", false).unwrap()).is_none());
    }
}

//! Engine addresses as `-H`, DOCKER_HOST and docker contexts spell them.

use std::fmt;
use std::path::PathBuf;

/// Where the docker CLI looks when nothing is said (docker/cli `opts.DefaultHost`).
pub(crate) const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Port of an engine without TLS.
const PLAIN_PORT: u16 = 2375;
/// Port of an engine with TLS.
const TLS_PORT: u16 = 2376;

/// An engine address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// `unix:///path`
    Unix(PathBuf),
    /// `npipe:////./pipe/name`, as a path Windows understands.
    NamedPipe(String),
    /// `tcp://host:port`; https stands for "with TLS whatever the environment says".
    Tcp { name: String, port: u16, https: bool },
    /// `ssh://[user@]host[:port][/path/of/the/remote/socket]`
    Ssh { user: Option<String>, name: String, port: Option<u16>, socket: Option<String> },
    /// What only a program understands, as it is shown: `kube-pod://pod` and the like.
    Inside(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::NamedPipe(pipe) => write!(f, "npipe://{}", pipe.replace('\\', "/")),
            Self::Inside(address) => f.write_str(address),
            Self::Tcp { name, port, .. } if name.contains(':') => {
                write!(f, "tcp://[{name}]:{port}")
            }
            Self::Tcp { name, port, .. } => write!(f, "tcp://{name}:{port}"),
            Self::Ssh { user, name, port, socket } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                if name.contains(':') {
                    write!(f, "[{name}]")?
                } else {
                    f.write_str(name)?
                }
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(socket.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Takes an address apart by the rules of docker/cli's `opts.ParseHost`: no scheme means tcp, no
/// port means 2375, or 2376 with TLS. Returns what is wrong as a fragment that reads after the
/// quoted address.
pub(crate) fn parse(address: &str, tls: bool) -> Result<Host, String> {
    let address = address.trim();
    let (scheme, rest) = address.split_once("://").unwrap_or(("tcp", address));
    match scheme {
        "unix" => Ok(Host::Unix(PathBuf::from(if rest.is_empty() {
            "/var/run/docker.sock"
        } else {
            rest
        }))),
        "npipe" => {
            let pipe = if rest.is_empty() { "//./pipe/docker_engine" } else { rest };
            Ok(Host::NamedPipe(pipe.replace('/', "\\")))
        }
        "tcp" | "http" | "https" => {
            let https = scheme == "https";
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !path.is_empty() {
                return Err("has a path, which is not supported".to_owned());
            }
            if authority.contains('@') {
                return Err("has a user name, which only ssh:// takes".to_owned());
            }
            let (name, port) = name_and_port(authority)?;
            // `tcp://:2375` is how Docker's own documentation writes "this machine".
            let name = if name.is_empty() { "localhost".to_owned() } else { name };
            let port = port.unwrap_or(if tls || https { TLS_PORT } else { PLAIN_PORT });
            Ok(Host::Tcp { name, port, https })
        }
        "ssh" => parse_ssh(rest),
        "fd" => Err("is an address for the engine itself, not for its clients".to_owned()),
        other => Err(format!("has the unknown scheme `{other}`")),
    }
}

fn parse_ssh(rest: &str) -> Result<Host, String> {
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if path.contains(['?', '#']) {
        return Err("has a query or fragment, which ssh:// does not take".to_owned());
    }
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err("holds a password in plain text; use a key or an ssh agent".to_owned());
    }
    let (name, port) = name_and_port(place)?;
    // ssh would take a leading dash for an option (CVE-2017-1000117 and its kin).
    if name.is_empty() || name.starts_with('-') || user.is_some_and(|u| u.starts_with('-')) {
        return Err("names no host".to_owned());
    }
    let socket = (!path.trim_matches('/').is_empty()).then(|| path.to_owned());
    let user = user.filter(|user| !user.is_empty()).map(str::to_owned);
    Ok(Host::Ssh { user, name, port, socket })
}

/// Splits `name:port`, `[v6]:port` and a bare IPv6 address.
fn name_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (name, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (name, after) = inner.split_once(']').ok_or("has an unclosed `[`")?;
        match after.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if after.is_empty() => (name, None),
            None => return Err("has text after `]`".to_owned()),
        }
    } else if authority.matches(':').count() > 1 {
        (authority, None)
    } else {
        match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        }
    };
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has a blank in the host name".to_owned());
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| format!("has the invalid port `{port}`"))?),
    };
    Ok((name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_every_spelling_of_docker() {
        let spelled = |address: &str, tls| parse(address, tls).unwrap().to_string();
        assert_eq!(spelled("unix:///run/d.sock", false), "unix:///run/d.sock");
        assert_eq!(spelled("unix://", false), "unix:///var/run/docker.sock");
        assert_eq!(spelled("tcp://build:99", false), "tcp://build:99");
        assert_eq!(spelled("build:99", false), "tcp://build:99");
        assert_eq!(spelled("tcp://build", false), "tcp://build:2375");
        assert_eq!(spelled("tcp://build", true), "tcp://build:2376");
        assert_eq!(spelled("tcp://:2375/", false), "tcp://localhost:2375");
        assert_eq!(spelled("tcp://[::1]:99", false), "tcp://[::1]:99");
        assert_eq!(spelled("https://build", false), "tcp://build:2376");
        assert_eq!(spelled("npipe:////./pipe/x", false), "npipe:////./pipe/x");
        assert_eq!(spelled("ssh://me@build:22/run/d.sock", false), "ssh://me@build:22/run/d.sock");
        assert_eq!(spelled("ssh://build/", false), "ssh://build");
    }

    #[test]
    fn says_what_is_wrong_with_an_address() {
        let wrong = |address: &str| parse(address, false).unwrap_err();
        assert_eq!(wrong("ftp://x"), "has the unknown scheme `ftp`");
        assert_eq!(wrong("tcp://x:port"), "has the invalid port `port`");
        assert_eq!(wrong("tcp://x:70000"), "has the invalid port `70000`");
        assert_eq!(wrong("tcp://[::1"), "has an unclosed `[`");
        assert_eq!(wrong("tcp://x/prefix"), "has a path, which is not supported");
        assert!(wrong("ssh://me:secret@x").contains("password"));
        assert_eq!(wrong("ssh://-oProxyCommand=x"), "names no host");
        assert_eq!(wrong("ssh://"), "names no host");
        assert!(wrong("fd://").contains("engine itself"));
    }
}

//! The short form of ports, as compose reads it (go-connections `nat`).

use std::net::IpAddr;

/// Whether compose takes that for a port, or ports.
pub(super) fn is_port(text: &str) -> bool {
    let is_known = |port: &Port| {
        let protocols = ["tcp", "udp", "sctp"];
        (port.host.is_empty() || port.host.parse::<IpAddr>().is_ok())
            && protocols.contains(&port.protocol.as_str())
    };
    read_ports(text).is_some_and(|ports| ports.first().is_some_and(is_known))
}

/// One of them.
pub(super) struct Port {
    pub(super) host: String,
    pub(super) target: u16,
    pub(super) published: String,
    pub(super) protocol: String,
}

/// `[HOST:][PUBLISHED:]TARGET[/PROTOCOL]`, with ranges.
pub(super) fn read_ports(text: &str) -> Option<Vec<Port>> {
    let (address, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_lowercase();
    let (rest, target) = address.rsplit_once(':').unwrap_or(("", address));
    let (host, published) = match rest.rsplit_once(':') {
        Some((host, published)) => (host, published),
        None => ("", rest),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host).to_owned();
    let (first, last) = range(target)?;
    let published: Vec<String> = if published.is_empty() {
        vec![String::new(); usize::from(last - first) + 1]
    } else {
        let (from, to) = range(published)?;
        match (to - from, last - first) {
            (one, other) if one == other => (from..=to).map(|port| port.to_string()).collect(),
            // The engine picks one of them.
            (_, 0) => vec![format!("{from}-{to}")],
            _ => return None,
        }
    };
    let port = |(target, published)| Port {
        host: host.clone(),
        target,
        published,
        protocol: protocol.clone(),
    };
    Some((first..=last).zip(published).map(port).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_compose() {
        for text in [
            "80",
            "8080:80/udp",
            "127.0.0.1::80",
            "[::1]:1-2:3-4",
            "8000-8010:80",
            "0",
            ":80",
            "80/TCP",
        ] {
            assert!(is_port(text), "{text}");
        }
        for text in [
            "",
            "abc",
            "80/foo",
            "99999:1",
            "1:99999",
            "8:",
            "localhost:8:8",
            "2-1",
            "1-3:1-2",
            "1.2.3:8:8",
            "-1",
            "80/",
        ] {
            assert!(!is_port(text), "{text}");
        }
    }
}

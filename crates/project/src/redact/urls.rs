//! Credentials in URLs: user and password before the host, and parameters whose name says that they are secret.

use super::REDACTED;
use super::names::names_a_secret;

/// Parameters of signed URLs, besides those with a telling name.
const SIGNATURES: [&str; 4] = ["sig", "signature", "x-amz-signature", "x-goog-signature"];

/// `text` with [`REDACTED`] for what is secret in its URLs. A user alone stays, as in `ssh://git@host`, unless the URL
/// is one of http: a token may stand there.
pub fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out.push_str(before);
        let url = &after[..after.find(ends_a_url).unwrap_or(after.len())];
        rest = &after[url.len()..];
        let user = userinfo(url, before.ends_with("http://") || before.ends_with("https://"));
        if user > 0 {
            out.push_str(REDACTED);
        }
        parameters(&url[user..], &mut out);
    }
    out.push_str(rest);
    out
}

/// `address` as it may be shown, be its scheme written or not.
pub fn address(address: &str) -> String {
    const SCHEME: &str = "tcp://";
    if address.contains("://") {
        return urls(address);
    }
    urls(&format!("{SCHEME}{address}")).split_off(SCHEME.len())
}

/// User and password of every URL in `text` that has both.
pub(super) fn passwords(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).filter_map(|after| {
        let url = &after[..after.find(ends_a_url).unwrap_or(after.len())];
        let (_, password) = url[..userinfo(url, true)].split_once(':')?;
        Some(password)
    })
}

fn ends_a_url(char: char) -> bool {
    char.is_whitespace() || char.is_control() || "\"'`<>".contains(char)
}

/// Length of the user and password that `url` begins with, without the `@`; 0 where it has none to hide.
fn userinfo(url: &str, user_tells: bool) -> usize {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    if let Some((user, _)) = authority.rsplit_once('@') {
        return if user_tells || user.contains(':') { user.len() } else { 0 };
    }
    // A password with a character that belongs escaped: what stands behind the colon is not a port.
    let port = authority.split_once(':').map(|(_, port)| port);
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if authority.starts_with('[') || is_port {
        return 0;
    }
    url.find('@').unwrap_or(0)
}

/// Appends `url` without the values of parameters that tell.
fn parameters(url: &str, out: &mut String) {
    let start = url.find(['?', '#']).map_or(url.len(), |at| at + 1);
    out.push_str(&url[..start]);
    for part in url[start..].split_inclusive(['&', ';', '#', '?']) {
        let end = part.trim_end_matches(['&', ';', '#', '?']);
        match end.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_secret(name) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
                out.push_str(&part[end.len()..]);
            }
            _ => out.push_str(part),
        }
    }
}

fn is_secret(name: &str) -> bool {
    names_a_secret(name) || SIGNATURES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_go_and_the_rest_stays() {
        for (text, shown) in [
            ("https://me:pw@pypi.example/simple", "https://***@pypi.example/simple"),
            ("pip --index https://t0ken@h/ -r x", "pip --index https://***@h/ -r x"),
            ("a http://u:p@h b ftp://u:p@g/", "a http://***@h b ftp://***@g/"),
            ("git clone ssh://git@host/x", "git clone ssh://git@host/x"),
            ("ssh://git:pw@host/x", "ssh://***@host/x"),
            ("https://host/path@1.2", "https://host/path@1.2"),
            ("https://host:8080/path@1.2", "https://host:8080/path@1.2"),
            ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
            ("https://u:p@ss@host/", "https://***@host/"),
            ("https://u:p/a#s?s@host/", "https://***@host/"),
            ("https://u:pw@host/r.git#main:sub", "https://***@host/r.git#main:sub"),
            ("tcp://user:pw@h:2375", "tcp://***@h:2375"),
            ("docker.io/a:1@sha256:0", "docker.io/a:1@sha256:0"),
            ("https://h/x?token=abc&v=1", "https://h/x?token=***&v=1"),
            (
                "https://h/x?v=1&X-Amz-Signature=ab#access_token=q z",
                "https://h/x?v=1&X-Amz-Signature=***#access_token=*** z",
            ),
            ("https://h/x?page=2&sig=a%2Fb", "https://h/x?page=2&sig=***"),
            ("https://h/x?author=me#key", "https://h/x?author=me#key"),
            ("{\"u\":\"https://u:p@h/\"}", "{\"u\":\"https://***@h/\"}"),
            ("https://***@host/", "https://***@host/"),
            ("://", "://"),
        ] {
            assert_eq!(urls(text), shown);
        }
        assert_eq!(address("user:pw@host:2375"), "***@host:2375");
        assert_eq!(address("host:2375"), "host:2375");
        assert_eq!(passwords("a https://u:pw@h https://t@h x").collect::<Vec<_>>(), ["pw"]);
    }

    proptest::proptest! {
        #[test]
        fn no_password_survives(user in "[a-z]{1,8}", password in "[A-Z0-9@:]{1,12}") {
            let shown = urls(&format!("x https://{user}:{password}@host/p y"));
            proptest::prop_assert_eq!(shown, "x https://***@host/p y");
        }

        #[test]
        fn nothing_panics_and_twice_is_once(text: String) {
            let once = urls(&text);
            proptest::prop_assert_eq!(urls(&once), once);
        }
    }
}

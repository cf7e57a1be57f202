//! The forms in which a log shows a secret: as it is, line by line, and as programs commonly encode it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::names::names_a_secret;

/// Longer lines are looked for in pieces.
const PIECE: usize = 1024;
/// Encoded forms are looked for of as many bytes of values, the short ones first: certificates and keys have room.
const ENCODED: usize = 64 * 1024;
/// Columns after which `base64` and `openssl base64` break their lines.
const COLUMNS: [usize; 2] = [76, 64];
/// Encoded forms that are shorter could be anything.
const SHORTEST: usize = 6;

/// Everything to look for. Values of several lines are found by their lines: output is looked at line by line.
pub(super) fn all(values: &[&Vec<u8>]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    let mut values = values.to_vec();
    values.sort_by_key(|value| value.len());
    let mut encoded = 0;
    for value in values {
        encoded += value.len();
        if !value.contains(&b'\n') {
            forms.extend(
                value.chunks(PIECE).filter(|piece| piece.len() >= SHORTEST).map(<[u8]>::to_vec),
            );
        }
        if encoded <= ENCODED {
            base64(value, &mut forms);
            forms.extend(std::str::from_utf8(value).into_iter().flat_map(escaped));
        }
    }
    forms
}

/// In base64 a value looks one of three ways, as many bytes before it leave 0, 1 or 2 over (`user:VALUE` of a login);
/// only characters that hold bits of nothing else count.
fn base64(value: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for before in 0..3 {
        let text = [&[0; 3][..before], value].concat();
        let start = (before * 8).div_ceil(6);
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            let own = &encoded.as_bytes()[start..text.len() * 8 / 6];
            if own.len() >= SHORTEST {
                forms.extend(
                    own.chunks(PIECE).filter(|piece| piece.len() >= SHORTEST).map(<[u8]>::to_vec),
                );
            }
            for columns in COLUMNS.into_iter().filter(|columns| before == 0 && own.len() > *columns)
            {
                forms.extend(
                    own.chunks(columns).filter(|line| line.len() >= SHORTEST).map(<[u8]>::to_vec),
                );
            }
        }
    }
}

/// Escaped as in URLs and as in JSON, where that makes a difference.
fn escaped(value: &str) -> Vec<Vec<u8>> {
    let mut percent = [String::new(), String::new(), String::new()];
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            percent.iter_mut().for_each(|text| text.push(char::from(byte)));
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(percent[0], "%{byte:02X}");
        let _ = write!(percent[1], "%{byte:02x}");
        if byte == b' ' {
            percent[2].push('+');
        } else {
            let _ = write!(percent[2], "%{byte:02X}");
        }
    }
    let json = serde_json::Value::from(value).to_string();
    let json = json.trim_matches('"').to_owned();
    percent
        .into_iter()
        .chain([json])
        .filter(|form| form != value)
        .flat_map(|form| form.into_bytes().chunks(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .filter(|form| form.len() >= SHORTEST)
        .collect()
}

/// What a line such as `//registry/:_authToken=VALUE`, `PASSWORD: "VALUE"` or `"private_key": "VALUE",` assigns to a
/// telling name.
pub(super) fn assigned(line: &str) -> Option<&str> {
    let at =
        line.find(['=', ':']).filter(|_| !line.starts_with("//")).or_else(|| line.find('='))?;
    let quotes = |char: char| char.is_whitespace() || "\"',".contains(char);
    let (name, value) = (line[..at].trim_matches(quotes), line[at + 1..].trim_matches(quotes));
    let name = name.rsplit(['/', ':', ' ']).next().unwrap_or(name);
    (names_a_secret(name) && !value.is_empty()).then_some(value)
}

//! Secrets in every form and place.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn redactor(values: &[&str]) -> Redactor {
    let mut secrets = Secrets::default();
    values.iter().for_each(|value| secrets.add(value.as_bytes()));
    Redactor::new(&secrets)
}

#[test]
fn known_values_go_the_longest_first() {
    let redactor = redactor(&["abcdef", "abcdefgh", "x", "  ", ""]);
    assert_eq!(redactor.text("RUN x --key=abcdefgh abcdef -pabcdef"), "RUN x --key=*** *** -p***");
    assert_eq!(redactor.text("abcdefabcdef"), "***");
    assert_eq!(redactor.bytes(b"\xffabcdef\xff https://u:p@h"), b"\xff***\xff https://***@h");
}

#[test]
fn short_and_common_values_do_not_blank_out_the_world() {
    let redactor = redactor(&["a", "abc", "true", "false", "None", "1234", "prod"]);
    let text = "RUN true && abc sha256:12345678 production a";
    assert_eq!(redactor.text(text), text);
    assert_eq!(redactor.text("-e=prod 1234."), "-e=*** ***.");
    // As a whole argument they are.
    assert_eq!(redactor.argument("V", "abc"), "***");
    assert_eq!(redactor.argument("V", "abcd"), "abcd");
}

#[test]
fn arguments_are_hidden_by_name_or_value() {
    let mut secrets = Secrets::default();
    secrets.add(b"file-secret\n");
    secrets.add_argument("NEXUS_PASS", "from-the-args");
    secrets.add_argument("INDEX", "https://me:pass-word@host/simple");
    secrets.add_argument("USE_AUTH", "true");
    let redactor = Redactor::new(&secrets);
    for (name, value, shown) in [
        ("NEXUS_PASS", "from-the-args", "***"),
        ("V", "file-secret", "***"),
        ("V", "x file-secret y", "x *** y"),
        ("INDEX", "https://me:pass-word@host/simple", "https://***@host/simple"),
        ("USE_AUTH", "true", "true"),
        ("PATH", "/bin", "/bin"),
    ] {
        assert_eq!(redactor.argument(name, value), shown);
    }
    assert_eq!(redactor.text("login with pass-word: from-the-args"), "login with ***: ***");
    assert!(!format!("{redactor:?} {secrets:?}").contains("secret-"));
}

#[test]
fn lines_of_a_file_go_one_by_one() {
    let redactor = redactor(&[
        "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nq8Jk0/zz==\n-----END KEY-----\n",
        "//registry.example/:_authToken=npm-0123456789\nalways-auth=true\n",
        "{\n  \"client\": \"me@example\",\n  \"private_key\": \"in-json-01\"\n}\n",
    ]);
    for (text, shown) in [
        ("MIIEowIBAAKCAQEA", "***"),
        ("+ echo q8Jk0/zz==", "+ echo ***"),
        ("got npm-0123456789!", "got ***!"),
        ("always true", "always true"),
        ("key in-json-01 of me@example", "key *** of me@example"),
        ("{ }", "{ }"),
    ] {
        assert_eq!(redactor.text(text), shown);
    }
}

#[test]
fn common_encodings_go_too() {
    let value = "p&ss w\"rd/+ü";
    let redactor = redactor(&[value]);
    for before in ["", "u", "us", "user:", "x-access-token:"] {
        for after in ["", "\n", "@host", "abcd"] {
            let encoded = STANDARD.encode(format!("{before}{value}{after}"));
            let shown = redactor.text(&encoded);
            assert!(shown.contains("***"), "{encoded} {shown}");
            assert!(shown.len() < 3 + 2 * (before.len() + after.len()) + 8, "{encoded} {shown}");
        }
    }
    for encoded in [
        "p%26ss%20w%22rd%2F%2B%C3%BC",
        "p%26ss%20w%22rd%2f%2b%c3%bc",
        "p%26ss+w%22rd%2F%2B%C3%BC",
        r#"p&ss w\"rd/+ü"#,
    ] {
        assert_eq!(redactor.text(encoded), "***");
    }
}

#[test]
fn wrapped_base64_of_a_long_value_goes() {
    let value: String = (0..60).map(|index| format!("{:x}-{index} ", index * 7919)).collect();
    let redactor = redactor(&[&value]);
    let encoded = STANDARD.encode(format!("{value}\n"));
    for columns in [76, 64] {
        for line in encoded.as_bytes().chunks(columns) {
            let line = std::str::from_utf8(line).unwrap();
            let shown = redactor.text(line);
            // The rest of the last line may be too short to be told from anything else.
            assert!(shown.len() < 12, "{line} {shown}");
        }
    }
}

/// A square would need hours for it.
#[test]
fn large_logs_and_many_secrets_cost_no_square() {
    let lines: String = (0..5_000).map(|index| format!("secret-line-{index:08}\n")).collect();
    let redactor = redactor(&[&lines, &"a".repeat(500_000), "aaaaaaab"]);
    let log = "secret-line-0000000x https:// aaaaaaa http://a:b ://".repeat(20_000);
    let started = Instant::now();
    let shown = redactor.bytes(log.as_bytes());
    assert!(shown.len() > log.len() / 2, "{:?}", started.elapsed());
    assert_eq!(redactor.bytes(lines.as_bytes()), "***\n".repeat(5_000).as_bytes());
}

proptest! {
    #[test]
    fn no_value_survives(
        values in proptest::collection::vec("[ -~ü]{6,40}", 1..6),
        around in proptest::collection::vec("[a-z =:/\"]{0,9}", 7),
        pick in proptest::collection::vec(0..6_usize, 6),
    ) {
        let values: Vec<&str> = values.iter().map(|value| value.trim()).filter(|value| value.len() >= 6).collect();
        prop_assume!(!values.is_empty());
        let redactor = redactor(&values);
        let mut text = around[0].clone();
        for (pick, around) in pick.iter().zip(&around[1..]) {
            text += values[pick % values.len()];
            text += around;
        }
        let shown = redactor.text(&text);
        for value in values {
            prop_assert!(!shown.contains(value), "{:?} in {:?} of {:?}", value, shown, text);
        }
    }

    #[test]
    fn never_panics(text: String, bytes: Vec<u8>, values: Vec<Vec<u8>>) {
        let mut secrets = Secrets::default();
        values.iter().for_each(|value| secrets.add(value));
        let redactor = Redactor::new(&secrets);
        let _ = (redactor.text(&text), redactor.bytes(&bytes), redactor.argument("A", &text));
    }
}

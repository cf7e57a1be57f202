//! What is kept of a value that must not be: enough to tell whether another build had another one, and no way back to it
//! for whoever has the ledger without its key.

use std::io::{self, Read as _};

use sha2::{Digest as _, Sha256};

/// Bytes of a key.
const KEY: usize = 32;

/// Makes fingerprints of values: equal ones have equal fingerprints.
#[derive(Clone, PartialEq, Eq)]
pub struct FingerprintKey([u8; KEY]);

impl FingerprintKey {
    /// One with a key of its own.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> io::Result<Self> {
        let mut key = [0; KEY];
        fs_err::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self(key))
    }

    /// The one with this key, if it is one.
    pub fn with_key(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// The fingerprint of a value: which key it is of, and the value's own.
    pub fn fingerprint(&self, value: &str) -> String {
        let key = Sha256::digest(self.0);
        let own = Sha256::new().chain_update(self.0).chain_update(value).finalize();
        format!("{}-{}", hex::encode(&key[..2]), hex::encode(&own[..8]))
    }
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// Whether two fingerprints are of one value; `None` where they are of different keys.
pub(super) fn is_same(one: &str, other: &str) -> Option<bool> {
    let ((key, one), (other_key, other)) = (one.split_once('-')?, other.split_once('-')?);
    (key == other_key).then_some(one == other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::Inputs;

    #[test]
    fn arguments_are_the_same_where_that_is_known() {
        let key = FingerprintKey::random().unwrap();
        let given = |value: &str, fingerprint: Option<String>| Inputs {
            args: [("A".to_owned(), value.to_owned())].into(),
            fingerprints: fingerprint.map(|it| ("A".to_owned(), it)).into_iter().collect(),
            ..Inputs::default()
        };
        let [one, other] = ["1", "2"].map(|value| given("***", Some(key.fingerprint(value))));
        let foreign = given("***", Some(FingerprintKey::random().unwrap().fingerprint("1")));
        let in_url = |value| given("https://u:***@h", Some(key.fingerprint(value)));
        for (old, new, same) in [
            (&given("1", None), &given("1", None), Some(true)),
            (&given("1", None), &given("2", None), Some(false)),
            (&given("1", None), &Inputs::default(), Some(false)),
            (&one, &one, Some(true)),
            (&one, &other, Some(false)),
            (&one, &foreign, None),
            (&one, &given("***", None), None),
            (&one, &given("1", None), None),
            (&in_url("p"), &in_url("q"), Some(false)),
        ] {
            assert_eq!(new.has_same_argument(old, "A"), same, "{old:?} {new:?}");
            assert_eq!(old.has_same_arguments(new), same == Some(true), "{old:?} {new:?}");
        }
    }

    #[test]
    fn fingerprints_tell_values_apart_and_keys() {
        let (one, other) = (FingerprintKey::random().unwrap(), FingerprintKey::random().unwrap());
        assert_eq!(is_same(&one.fingerprint("a"), &one.fingerprint("a")), Some(true));
        assert_eq!(is_same(&one.fingerprint("a"), &one.fingerprint("b")), Some(false));
        assert_eq!(is_same(&one.fingerprint("a"), "a"), None);
        assert_eq!(FingerprintKey::with_key(one.key()).unwrap(), one);
        assert_eq!(FingerprintKey::with_key(b"short"), None);
        assert_ne!(one.fingerprint("a"), other.fingerprint("a"));
        assert_eq!(format!("{one:?}"), "FingerprintKey");
    }
}

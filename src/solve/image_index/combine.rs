//! One index of the images that several nodes made, byte for byte as buildx makes it (`util/imagetools/create.go`, `combine`, at
//! 461836b): what is attested of an image stays beside it. Pure.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What media types of docker's begin with.
const DOCKER: &str = "application/vnd.docker.";

/// An index, ready to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) digest: String,
}

/// Puts the manifests of `parts` into one index, each once. `annotations` are those of the index.
///
/// # Errors
/// A part is something else than an index.
pub(super) fn combine(
    parts: &[Vec<u8>],
    annotations: &[(String, String)],
) -> Result<Index, String> {
    let mut manifests: Vec<Map<String, Value>> = Vec::new();
    for part in parts {
        for manifest in of_index(part)? {
            let same = manifests.iter_mut().find(|it| it.get("digest") == manifest.get("digest"));
            match same {
                Some(same) => merge(same, manifest),
                None => manifests.push(manifest),
            }
        }
    }
    let of_docker = |it: &Map<String, Value>| {
        it.get("mediaType").and_then(Value::as_str).is_some_and(|it| it.starts_with(DOCKER))
    };
    let media_type = if manifests.iter().all(of_docker) { DOCKER_LIST } else { OCI_INDEX };
    let mut index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    // Docker's own lists have none.
    if media_type == OCI_INDEX && !annotations.is_empty() {
        let sorted: std::collections::BTreeMap<_, _> = annotations.iter().cloned().collect();
        index["annotations"] = json!(sorted);
    }
    let text = serde_json::to_string_pretty(&index).map_err(|error| error.to_string())?;
    let bytes = as_go_writes(&text).into_bytes();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    Ok(Index { bytes, media_type, digest })
}

fn of_index(bytes: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let no_index = || "what a node pushed is not an index of images".to_owned();
    let index: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let manifests = index.get("manifests").and_then(Value::as_array).ok_or_else(no_index)?;
    manifests.iter().map(|it| it.as_object().cloned().ok_or_else(no_index)).collect()
}

/// Two parts that made the same: what is new of the later one counts.
fn merge(one: &mut Map<String, Value>, other: Map<String, Value>) {
    for (key, value) in other {
        match (one.get_mut(&key).and_then(Value::as_object_mut), value) {
            (Some(known), Value::Object(new)) if key == "annotations" => known.extend(new),
            (_, value) => {
                one.insert(key, value);
            }
        }
    }
}

/// Go's JSON has no angle brackets and ampersands.
fn as_go_writes(text: &str) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn part(manifests: &Value) -> Vec<u8> {
        json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
    }

    fn manifest(of: &str, digest: &str, arch: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.{of}.manifest"), "digest": digest, "size": 3,
            "platform": {"architecture": arch, "os": "linux"}
        })
    }

    #[test]
    fn manifests_stand_in_the_order_of_the_parts() {
        let one = part(&json!([manifest("oci.image", "sha256:a", "amd64")]));
        let mut attestation = manifest("oci.image", "sha256:c", "unknown");
        attestation["annotations"] = json!({"vnd.docker.reference.digest": "sha256:b"});
        let two = part(&json!([manifest("docker.x", "sha256:b", "arm64"), attestation]));
        let notes = [("b".to_owned(), "<&>".to_owned()), ("a".to_owned(), "1".to_owned())];
        let index = combine(&[one, two], &notes).unwrap();
        insta::assert_snapshot!(String::from_utf8(index.bytes.clone()).unwrap(), @r#"
        {
          "schemaVersion": 2,
          "mediaType": "application/vnd.oci.image.index.v1+json",
          "manifests": [
            {
              "mediaType": "application/vnd.oci.image.manifest",
              "digest": "sha256:a",
              "size": 3,
              "platform": {
                "architecture": "amd64",
                "os": "linux"
              }
            },
            {
              "mediaType": "application/vnd.docker.x.manifest",
              "digest": "sha256:b",
              "size": 3,
              "platform": {
                "architecture": "arm64",
                "os": "linux"
              }
            },
            {
              "mediaType": "application/vnd.oci.image.manifest",
              "digest": "sha256:c",
              "size": 3,
              "platform": {
                "architecture": "unknown",
                "os": "linux"
              },
              "annotations": {
                "vnd.docker.reference.digest": "sha256:b"
              }
            }
          ],
          "annotations": {
            "a": "1",
            "b": "\u003c\u0026\u003e"
          }
        }
        "#);
        assert_eq!(index.media_type, OCI_INDEX);
        assert_eq!(index.digest, format!("sha256:{}", hex::encode(Sha256::digest(&index.bytes))));
    }

    #[test]
    fn a_list_of_docker_and_one_manifest_of_two_parts() {
        let list = part(&json!([manifest("docker.x", "sha256:a", "amd64")]));
        let twice = combine(&[list.clone(), list], &[("a".into(), "1".into())]).unwrap();
        let index: Value = serde_json::from_slice(&twice.bytes).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        assert_eq!((twice.media_type, index.get("annotations")), (DOCKER_LIST, None));
        for other in [&b"{}"[..], b"", b"[1]", br#"{"manifests": [1]}"#] {
            assert!(combine(&[other.to_vec()], &[]).is_err());
        }
    }
}

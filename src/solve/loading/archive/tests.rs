//! Archives as they are read by the real `tar`, and archives of what is damaged.
#![allow(clippy::unwrap_used)]
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;

use super::*;

fn put(layout: &Path, content: &[u8]) -> Blob {
    let digest =
        Digest::parse(&format!("sha256:{}", hex::encode(Sha256::digest(content)))).unwrap();
    let path = digest.path_in(layout);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    Blob { digest, bytes: content.len() as u64 }
}

/// An image of three layers, two of which are the same, and one without a byte.
fn image(layout: &Path) -> StoredImage {
    let layers = [&[b'x'; 300_000][..], b"", b""].map(|content| put(layout, content)).to_vec();
    StoredImage {
        descriptor: serde_json::Map::from_iter([("digest".to_owned(), "sha256:m".into())]),
        manifest: put(layout, b"manifest"),
        config: put(layout, &[b'c'; BLOCK]),
        layers,
        chains: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
    }
}

async fn collect(archive: Archive, layout: &Path) -> (Result<Vec<u8>, String>, Fault) {
    let (mut pieces, fault) = archive.pieces(layout, Arc::default());
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => return (Err(error.to_string()), fault),
        }
    }
    (Ok(all), fault)
}

#[tokio::test]
async fn an_archive_has_every_wanted_blob_once_and_tells_both_stores_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let names = ["docker.io/library/a:1".to_owned(), "r.io/b:latest".to_owned()];
    let all = image.layers.iter().map(|layer| layer.digest.clone()).collect();
    let archive = Archive::new(&image, &names, &all);
    assert_eq!(archive.bytes(), 300_000 + 8 + 512);
    let (tar, fault) = collect(archive, folder.path()).await;
    assert!(fault.take().is_none());
    let file = folder.path().join("a.tar");
    std::fs::write(&file, tar.unwrap()).unwrap();
    // The real program reads it.
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let read = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&out).output().unwrap();
    assert!(read.status.success() && read.stderr.is_empty(), "{read:?}");
    for blob in [&image.manifest, &image.config].into_iter().chain(&image.layers) {
        let sent = std::fs::read(blob.digest.path_in(&out)).unwrap();
        assert_eq!(sent, std::fs::read(blob.digest.path_in(folder.path())).unwrap());
    }
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(out.join(name)).unwrap()).unwrap()
    };
    let manifest = json("manifest.json");
    assert_eq!(manifest[0]["RepoTags"], json!(["a:1", "r.io/b:latest"]));
    assert_eq!(manifest[0]["Layers"].as_array().unwrap().len(), 3);
    assert_eq!(manifest[0]["Config"], path(&image.config.digest).display().to_string());
    let named = json("index.json");
    assert_eq!(named["manifests"][1]["annotations"]["io.containerd.image.name"], "r.io/b:latest");
}

#[tokio::test]
async fn what_the_engine_has_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let archive = Archive::new(&image, &["a".to_owned()], &BTreeSet::new());
    // Nobody looks for the others either.
    for layer in &image.layers {
        let _ = std::fs::remove_file(layer.digest.path_in(folder.path()));
    }
    let (tar, _) = collect(archive, folder.path()).await;
    assert!(tar.unwrap().len() < 8000);
}

#[tokio::test]
async fn a_damaged_blob_ends_the_archive_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let large = image.layers[0].digest.path_in(folder.path());
    let empty = image.layers[1].digest.clone();
    let turned = [&[b'x'; 299_999][..], b"y"].concat();
    for (content, why) in [(&turned[..], "is damaged"), (b"short", "is damaged"), (b"", "damaged")]
    {
        std::fs::write(&large, content).unwrap();
        let all = image.layers.iter().map(|layer| layer.digest.clone()).collect();
        let archive = Archive::new(&image, &["a".to_owned()], &all);
        let (tar, fault) = collect(archive, folder.path()).await;
        assert!(tar.unwrap_err().contains(why));
        assert_eq!(fault.take().unwrap().0, image.layers[0].digest);
    }
    std::fs::remove_file(empty.path_in(folder.path())).unwrap();
    let only = BTreeSet::from([empty.clone()]);
    let (tar, fault) = collect(Archive::new(&image, &["a".to_owned()], &only), folder.path()).await;
    assert!(tar.is_err());
    assert_eq!(fault.take().unwrap().0, empty);
}

#[test]
fn sizes_that_octal_digits_do_not_hold_are_binary() {
    assert_eq!(&header("a", (1 << 33) - 1)[124..136], b"77777777777\0");
    let huge = header("a", 1 << 33);
    assert_eq!(huge[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
}

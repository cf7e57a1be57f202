//! Runs of `lock` with answers of uv given.
#![allow(clippy::unwrap_used)]
use std::fmt::Write as _;

use tempfile::TempDir;

use super::*;

/// A folder with a requirement file, and what uv would answer.
struct Folder(TempDir);

impl Folder {
    fn new(requirements: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("requirements.in", requirements);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs_err::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn lock(&self) -> Lock {
        Lock::read(&named(&self.0.path().join("requirements.in"))).unwrap()
    }

    fn stale(&self) -> Option<Stale> {
        self.lock().stale(&LockOptions::default())
    }

    /// Runs `lock` where uv answers these packages: name, version, size, what needs it.
    fn run(&self, packages: &[(&str, u32, u64, &str)]) -> LockResult {
        let answer = tempfile::tempdir().unwrap();
        let mut pins = String::new();
        let mut sizes = String::new();
        for (name, version, size, via) in packages {
            let _ =
                writeln!(pins, "{name}=={version} \\\n    --hash=sha256:{name}\n    # via {via}");
            let host = if *name == "own" { "example.org" } else { "files.pythonhosted.org" };
            let _ = writeln!(
                sizes,
                "[[packages]]\nname = '{name}'\nwheels = [{{ url = 'https://{host}/x-any.whl', size = {size} }}]"
            );
        }
        fs_err::write(answer.path().join("pins.txt"), pins).unwrap();
        fs_err::write(answer.path().join("pylock.toml"), sizes).unwrap();
        fs_err::write(answer.path().join("python"), "3.12\n").unwrap();
        self.lock().write(&LockOptions::default(), answer.path()).unwrap()
    }
}

fn named(path: &Path) -> Subject {
    Subject { path: path.to_owned(), selection: Selection::default() }
}

const HEAVY: &str = "requirements.heavy.lock";
const MB: u64 = 1_000_000;
const BEFORE: &[(&str, u32, u64, &str)] = &[("six", 1, 9, "x"), ("torch", 2, 900 * MB, "docling")];

#[test]
fn a_light_change_of_any_kind_leaves_the_heavy_part_byte_for_byte() {
    let folder = Folder::new("six\ntorch\n");
    folder.run(BEFORE);
    assert_eq!(folder.stale(), None);
    let before = folder.read(HEAVY);
    assert!(before.contains("torch==2") && !before.contains("six"), "{before}");
    for (requirements, light) in [
        // A new package, which needs the heavy one, too.
        ("six\ntorch\nsniffio\n", ("sniffio", 1, 9, "y")),
        ("# why\nsix<2\ntorch\n", ("six", 0, 9, "x")),
        ("--extra-index-url https://example.org/simple\nown\ntorch\n", ("own", 1, 9, "z")),
        ("torch\n", ("tiny", 1, 1, "torch")),
    ] {
        folder.write("requirements.in", requirements);
        assert_eq!(folder.stale(), Some(Stale::Requirements), "{requirements}");
        folder.run(&[light, ("torch", 2, 900 * MB, "docling, something")]);
        assert_eq!(folder.read(HEAVY), before, "{requirements}");
        assert_eq!(folder.stale(), None, "{requirements}");
        assert!(folder.read("requirements.lock").contains(light.0));
    }
    // An index that the heavy part does need is in it.
    folder.write("requirements.in", "--extra-index-url https://example.org/simple\nown\n");
    folder.run(&[("own", 1, 900 * MB, "x")]);
    assert!(folder.read(HEAVY).contains("--extra-index-url"));
    let told = folder.run(&[("own", 3, 900 * MB, "x")]);
    assert_eq!(told.changes.unwrap(), ["own 1 -> 3"]);
    assert!(folder.read(HEAVY).contains("own==3"));
}

#[test]
fn what_does_not_fit_is_known_without_a_build() {
    let folder = Folder::new("six\ntorch\n");
    assert_eq!(folder.stale(), Some(Stale::Missing));
    folder.run(BEFORE);
    let (light, heavy) = (folder.read("requirements.lock"), folder.read(HEAVY));

    folder.write(HEAVY, &heavy.replace("torch==2", "torch==1"));
    assert_eq!(folder.stale(), Some(Stale::Edited));
    folder.write("requirements.lock", &light.replace("six==1", "six==2"));
    folder.write(HEAVY, &heavy);
    assert_eq!(folder.stale(), Some(Stale::Edited));
    fs_err::remove_file(folder.0.path().join(HEAVY)).unwrap();
    assert_eq!(folder.stale(), Some(Stale::HeavyMissing));
    folder.write(HEAVY, &heavy);
    folder.write("requirements.lock", "six==1\n");
    assert_eq!(folder.stale(), Some(Stale::Unknown));

    // The heavy part of another run.
    folder.run(&[("six", 1, 9, "x"), ("torch", 3, 900 * MB, "docling")]);
    assert_eq!(folder.stale(), None);
    folder.write(HEAVY, &heavy);
    assert_eq!(folder.stale(), Some(Stale::Edited));

    // git may change the ends of lines.
    folder.run(BEFORE);
    for name in ["requirements.in", "requirements.lock", HEAVY] {
        folder.write(name, &folder.read(name).replace('\n', "\r\n"));
    }
    assert_eq!(folder.stale(), None);
    let asked = LockOptions { python: Some("3.10".to_owned()), ..LockOptions::default() };
    assert_eq!(folder.lock().stale(&asked), Some(Stale::Python("3.12".to_owned())));
    let asked = LockOptions { threshold: Some(5), ..LockOptions::default() };
    assert_eq!(folder.lock().stale(&asked), Some(Stale::Threshold(10 * MB)));
}

#[test]
fn locks_of_earlier_releases_fit_and_their_heavy_part_stays() {
    let folder = Folder::new("six\ntorch\n");
    folder.run(BEFORE);
    // Both parts had the same header, and comments.
    let light = folder.read("requirements.lock");
    let light = header::body(&light);
    let heavy = "torch==2 \\\n    --hash=sha256:torch\n    # via docling\n";
    let header = Header {
        python: "3.12".to_owned(),
        threshold: 10 * MB,
        inputs: folder.lock().source.digest(),
        pins: header::digest([light.as_str(), heavy]),
        selection: Selection::default(),
        torch: None,
    };
    folder.write("requirements.lock", &(header.text("requirements.in", HEAVY) + &light));
    let old = header.text("requirements.in", "requirements.lock") + heavy;
    folder.write(HEAVY, &old);
    assert_eq!(folder.stale(), None);

    folder.write("requirements.in", "six\ntorch\nsniffio\n");
    folder.run(&[BEFORE, &[("sniffio", 1, 9, "y")]].concat());
    assert_eq!(folder.read(HEAVY), old);
    assert_eq!(folder.stale(), None);
    folder.run(&[("torch", 3, 900 * MB, "docling")]);
    assert_eq!(folder.read(HEAVY).lines().filter(|line| line.starts_with("# lock:")).count(), 0);
}

#[test]
fn a_lock_is_not_locked() {
    let error = Lock::read(&named(Path::new("/x/requirements.lock"))).unwrap_err();
    assert!(matches!(error, LockError::Source(SourceError::IsLock)));
}

#[test]
fn another_build_of_torch_is_another_lock() {
    let folder = Folder::new("six\ntorch\n");
    folder.run(BEFORE);
    let cpu = Torch::new("cpu", None);
    let asked =
        LockOptions { torch: Some(TorchChoice::Build(cpu.clone())), ..LockOptions::default() };
    assert_eq!(folder.lock().stale(&asked), Some(Stale::Torch));
    let Resolution::Compile { index, give_up, .. } =
        folder.lock().input(&asked).unwrap().resolution
    else {
        panic!("a requirement file is compiled");
    };
    assert_eq!((index, give_up.len()), (Some(cpu.index.clone()), torch::PACKAGES.len()));

    let answer = tempfile::tempdir().unwrap();
    let write = |version: &str| {
        let pins =
            format!("six==1 \\\n    --hash=sha256:six\ntorch=={version} \\\n    --hash=sha256:t\n");
        fs_err::write(answer.path().join("pins.txt"), pins).unwrap();
        let sizes = "[[packages]]\nname = 'six'\nwheels = [{ url = 'https://files.pythonhosted.org/x-any.whl', size = 9 }]\n\
            [[packages]]\nname = 'torch'\nwheels = [{ url = 'https://download.pytorch.org/x-any.whl' }]\n";
        fs_err::write(answer.path().join("pylock.toml"), sizes).unwrap();
        fs_err::write(answer.path().join("python"), "3.12\n").unwrap();
        folder.lock().write(&asked, answer.path())
    };
    // The index had none that fits, and PyPI's was taken.
    assert!(matches!(write("2.15.0").unwrap_err(), LockError::NoTorch(_)));
    write("2.15.0+cpu").unwrap();
    let heavy = folder.read(HEAVY);
    assert!(heavy.contains(&cpu.option()) && heavy.contains("torch==2.15.0+cpu"), "{heavy}");
    assert!(!folder.read("requirements.lock").contains("extra-index"));
    // It stays without being asked for, and can be given up.
    assert_eq!(folder.stale(), None);
    assert_eq!(folder.lock().torch(&LockOptions::default()), Some(cpu));
    let asked = LockOptions { torch: Some(TorchChoice::Unspecified), ..LockOptions::default() };
    assert_eq!(folder.lock().stale(&asked), Some(Stale::Torch));
}

#[test]
fn a_project_of_uv_is_locked_by_its_own_lock_and_stale_with_it() {
    let folder = Folder::new("");
    fs_err::remove_file(folder.0.path().join("requirements.in")).unwrap();
    let project = "[project]\nname = 'x'\nversion = '1'\ndependencies = ['six']\n\
        [project.optional-dependencies]\nweb = ['sniffio']\n";
    folder.write("pyproject.toml", project);
    folder.write("uv.lock", "version = 1\n");
    let named = Subject {
        path: folder.0.path().join("pyproject.toml"),
        selection: Selection::new(&["web".to_owned()], &[]),
    };
    let lock = || Lock::read(&named).unwrap();
    let options = LockOptions::default();
    let Resolution::Uv { lock: path, options: words } = lock().input(&options).unwrap().resolution
    else {
        panic!("uv.lock decides");
    };
    assert_eq!((path.as_str(), words.join(" ")), ("uv.lock", "--extra web".to_owned()));

    let answer = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("pins.txt", "six==1 \\\n    --hash=sha256:six\n"),
        ("pylock.toml", ""),
        ("python", "3.12\n"),
        ("uv.lock", "version = 2\n"),
    ] {
        fs_err::write(answer.path().join(name), text).unwrap();
    }
    lock().write(&options, answer.path()).unwrap();
    assert_eq!(folder.read("uv.lock"), "version = 2\n");
    assert!(folder.read("requirements-web.lock").contains("extras=web"));
    assert_eq!(lock().stale(&options), None);
    folder.write("pyproject.toml", &format!("{project}[tool.ruff]\n").replace("'1'", "'2'"));
    assert_eq!(lock().stale(&options), None);
    folder.write("uv.lock", "version = 3\n");
    assert_eq!(lock().stale(&options), Some(Stale::Requirements));
    let torch = Some(TorchChoice::Build(Torch::new("cpu", None)));
    let asked = LockOptions { torch, ..options };
    assert!(matches!(lock().input(&asked).unwrap_err(), LockError::TorchOfUv));
}

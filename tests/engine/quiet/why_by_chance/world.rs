//! A project that can be edited, in given ways or at random, and what each edit should be called.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{BUSYBOX, Chance, Project};

/// A cause that an edit may have: its kind, and the names that it may give.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    kind: &'static str,
    names: Vec<String>,
}

impl Expected {
    pub(super) fn kind(kind: &'static str) -> Self {
        Self { kind, names: Vec::new() }
    }
}

/// Whether one of the edits explains a cause, or all of them together its names.
pub(super) fn allows(expected: &[Expected], kind: &str, names: &[String]) -> bool {
    let of_kind = || expected.iter().filter(|it| it.kind == kind);
    let is_known = |name: &String| of_kind().any(|it| it.names.contains(name));
    of_kind().next().is_some() && names.iter().all(is_known)
}

/// What was done.
pub(super) struct Edit {
    pub(super) what: String,
    pub(super) expected: Vec<Expected>,
    pub(super) flags: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct File {
    content: u64,
    mode: u32,
    crlf: bool,
}

/// Numbers of which the project is made: few values each, so that edits come back to what was built before.
const KNOBS: [(&str, u64, &[&str]); 25] = [
    ("mode", 3, &["argument"]),
    ("version", 3, &["argument"]),
    ("unused", 3, &[]),
    ("default", 3, &["instruction"]),
    ("env", 3, &["instruction"]),
    ("tools-env", 2, &["instruction"]),
    ("more-env", 2, &["instruction"]),
    ("user", 2, &["instruction"]),
    ("shell", 2, &["instruction"]),
    ("workdir", 2, &["instruction"]),
    ("label", 3, &[]),
    ("comment", 3, &[]),
    ("cache-mount", 3, &["instruction"]),
    ("bind-target", 2, &["instruction"]),
    ("end", 3, &["instruction"]),
    ("new-run", 2, &["instruction"]),
    ("order", 2, &["instruction", "files"]),
    ("stage-name", 2, &[]),
    ("heredoc", 3, &["instruction"]),
    ("ignore", 3, &["files", "ignore-file"]),
    ("hosts", 2, &["unknown"]),
    ("lib-env", 2, &["instruction", "context"]),
    ("lib-run", 2, &["instruction", "context"]),
    ("base", 3, &["base"]),
    ("given", 2, &["base", "argument", "instruction"]),
];

/// Changes that are no turns of a knob, one of a kind each.
const OTHERS: [Change; 17] = [
    Change::File("reqs.txt", FileEdit::Change(1)),
    Change::File("lock.txt", FileEdit::Change(1)),
    Change::File("app/main.py", FileEdit::Change(1)),
    Change::File("tools/a", FileEdit::Change(1)),
    Change::File("tools/b", FileEdit::Change(1)),
    Change::File("data/d", FileEdit::Change(1)),
    Change::File("lib/f", FileEdit::Change(1)),
    Change::File("app/main.py", FileEdit::Mode),
    Change::File("lock.txt", FileEdit::LineEndings),
    Change::File("reqs.txt", FileEdit::Touch),
    Change::File("app/link", FileEdit::Retarget),
    Change::File("app/new0.py", FileEdit::AddOrRemove),
    Change::File("app/other.py", FileEdit::Rename),
    Change::File("app/new0.py", FileEdit::AddOrRemove),
    Change::Request("no-cache", &["--no-cache"]),
    Change::Request("no-cache-filter", &["--no-cache-filter", "based"]),
    Change::Clean,
];

/// All that a test can change, each once, the removal of results last.
pub(super) fn catalogue() -> impl Iterator<Item = Change> {
    KNOBS.into_iter().map(|(name, ..)| Change::Knob(name)).chain(OTHERS)
}

/// One thing that somebody does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// To another value of one of the [`KNOBS`].
    Knob(&'static str),
    File(&'static str, FileEdit),
    /// Flags of the build.
    Request(&'static str, &'static [&'static str]),
    /// `clean` of the project's build cache.
    Clean,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum FileEdit {
    /// To other contents, so many further.
    Change(u64),
    Mode,
    LineEndings,
    Touch,
    /// The link of the project, to another file.
    Retarget,
    AddOrRemove,
    Rename,
}

const FILES: [&str; 9] = [
    "reqs.txt",
    "lock.txt",
    "app/main.py",
    "app/other.py",
    "app/ignored.py",
    "tools/a",
    "tools/b",
    "data/d",
    "lib/f",
];

pub(super) struct World<'a> {
    project: &'a Project,
    modern: bool,
    knobs: BTreeMap<&'static str, u64>,
    files: BTreeMap<String, File>,
    link: u64,
    /// Which base was built last.
    base: Option<u64>,
    /// Whether results have been removed: some are missed only when a later edit comes back to them.
    cleaned: bool,
}

impl<'a> World<'a> {
    pub(super) fn new(project: &'a Project) -> Self {
        let file = File { content: 0, mode: 0o644, crlf: false };
        Self {
            project,
            modern: project.engine().name != "20.10",
            knobs: KNOBS.iter().map(|(name, ..)| (*name, 0)).collect(),
            files: FILES.iter().map(|path| ((*path).to_owned(), file)).collect(),
            link: 0,
            base: None,
            cleaned: false,
        }
    }

    /// Changes something. It stands on disk after [`Self::write`].
    pub(super) fn edit(&mut self, chance: &mut Chance) -> Edit {
        let mut edit = self.any_edit(chance);
        edit.expected.extend(self.cleaned.then(|| Expected::kind("record-gone")));
        edit
    }

    fn any_edit(&mut self, chance: &mut Chance) -> Edit {
        match chance.next() % 40 {
            0..=13 => {
                let paths: Vec<String> = self.files.keys().cloned().collect();
                let path = &paths[(chance.next() % paths.len() as u64) as usize];
                let new = ["app/new0.py", "app/new1.py"][(chance.next() % 2) as usize];
                let edit = match chance.next() % 9 {
                    0..=2 => FileEdit::Change(1 + chance.next() % 2),
                    3 => FileEdit::Mode,
                    4 => FileEdit::LineEndings,
                    5 => FileEdit::Touch,
                    6 => FileEdit::Retarget,
                    7 => FileEdit::AddOrRemove,
                    _ => FileEdit::Rename,
                };
                self.edit_file(if matches!(edit, FileEdit::AddOrRemove) { new } else { path }, edit)
            }
            14 => self.make(Change::Clean),
            15 => self.make(Change::Request("no-cache", &["--no-cache"])),
            _ => {
                let (name, values, _) = KNOBS[(chance.next() % KNOBS.len() as u64) as usize];
                self.turn(name, 1 + chance.next() % (values - 1))
            }
        }
    }

    /// Whether results have been removed.
    pub(super) fn is_cleaned(&self) -> bool {
        self.cleaned
    }

    /// Makes one change. It stands on disk after [`Self::write`].
    pub(super) fn make(&mut self, change: Change) -> Edit {
        let edit = |what: &str, kind, flags| Edit {
            what: what.to_owned(),
            expected: vec![Expected::kind(kind)],
            flags,
        };
        match change {
            Change::Knob(name) => self.turn(name, 1),
            Change::File(path, file_edit) => self.edit_file(path, file_edit),
            Change::Request(what, flags) => edit(what, "requested", flags),
            Change::Clean => {
                self.project.run(&["clean", "--only", "cache", "--force"]);
                self.cleaned = true;
                edit("cleaned", "record-gone", &[])
            }
        }
    }

    /// Turns one of the [`KNOBS`] by so much.
    fn turn(&mut self, name: &'static str, by: u64) -> Edit {
        let (_, values, kinds) = KNOBS.into_iter().find(|knob| knob.0 == name).unwrap();
        let value = self.knobs.get_mut(name).unwrap();
        *value = (*value + by) % values;
        // Nothing that runs stands below it, but for what is linked, which 20.10 has not.
        let is_inert = name == "lib-env" && !self.modern;
        let kinds = if is_inert { &[] } else { kinds };
        let mut expected: Vec<Expected> = kinds.iter().map(|it| Expected::kind(it)).collect();
        for it in &mut expected {
            it.names = match name {
                "mode" | "version" | "given" => vec![name.to_uppercase()],
                "ignore" | "order" => FILES.iter().map(|it| (*it).to_owned()).collect(),
                _ => Vec::new(),
            };
        }
        Edit { what: format!("{name}={value}"), expected, flags: &[] }
    }

    fn edit_file(&mut self, path: &str, edit: FileEdit) -> Edit {
        let is_there = self.files.contains_key(path);
        let file = self.files.get_mut(path);
        let path = path.to_owned();
        let (what, names) = match (edit, file) {
            (FileEdit::Change(by), Some(file)) => {
                file.content = (file.content + by) % 3;
                ("changed", vec![path])
            }
            (FileEdit::Mode, Some(file)) => {
                file.mode = if file.mode == 0o644 { 0o755 } else { 0o644 };
                ("mode", vec![path])
            }
            (FileEdit::LineEndings, Some(file)) => {
                file.crlf = !file.crlf;
                ("line-endings", vec![path])
            }
            (FileEdit::Touch, Some(_)) => {
                let opened = std::fs::File::open(self.project.dir().join(&path)).unwrap();
                opened.set_modified(std::time::SystemTime::now()).unwrap();
                ("touched", vec![])
            }
            (FileEdit::Retarget, _) => {
                self.link = (self.link + 1) % 2;
                ("link", vec!["app/link".to_owned()])
            }
            (FileEdit::AddOrRemove, _) if is_there => {
                self.files.remove(&path);
                ("removed", vec![path])
            }
            (FileEdit::AddOrRemove, _) => {
                self.files.insert(path.clone(), File { content: 7, mode: 0o644, crlf: false });
                ("added", vec![path])
            }
            (FileEdit::Rename, _) => {
                let names = ["app/other.py", "app/another.py"];
                let from = names.into_iter().find(|name| self.files.contains_key(*name)).unwrap();
                let to = names.into_iter().find(|name| *name != from).unwrap();
                let file = self.files.remove(from).unwrap();
                self.files.insert(to.to_owned(), file);
                ("renamed", names.map(str::to_owned).to_vec())
            }
            (edit, None) => panic!("{edit:?} of {path}, which is not there"),
        };
        let told = format!("{what} {}", names.join(" "));
        // Other contexts name their files from their own top.
        let inner =
            names.iter().filter_map(|it| it.strip_prefix("lib/").or(it.strip_prefix("data/")));
        let names =
            inner.map(str::to_owned).collect::<Vec<_>>().into_iter().chain(names.clone()).collect();
        let expected = match what {
            "touched" => Vec::new(),
            // What stands on a linked target has its files by that.
            _ => vec![Expected { kind: "files", names }, Expected::kind("context")],
        };
        Edit { what: told, expected, flags: &[] }
    }

    /// Brings the disk to what the project is now. What is as it was is not touched.
    pub(super) fn write(&mut self) {
        let directory = self.project.dir();
        for (path, file) in &self.files {
            let end = if file.crlf { "\r\n" } else { "\n" };
            let content = format!("{} {path} {}{end}", self.project.name(), file.content);
            put(&directory.join(path), &content);
            let mode = std::fs::Permissions::from_mode(file.mode);
            std::fs::set_permissions(directory.join(path), mode).unwrap();
        }
        for path in ["app/new0.py", "app/new1.py", "app/other.py", "app/another.py"] {
            if !self.files.contains_key(path) {
                let _ = std::fs::remove_file(directory.join(path));
            }
        }
        let (link, to) = (directory.join("app/link"), ["main.py", "none.py"][self.link as usize]);
        if std::fs::read_link(&link).ok().is_none_or(|is| is != Path::new(to)) {
            let _ = std::fs::remove_file(&link);
            symlink(to, &link).unwrap();
        }
        let ignore = ["", "app/ignored.py\n", "nowhere\n"][self.knob("ignore") as usize];
        put(&directory.join(".dockerignore"), ignore);
        put(&directory.join("compose.yaml"), &self.compose());
        put(&directory.join("Dockerfile"), &self.dockerfile());
        put(&directory.join("lib/Dockerfile"), &self.library());
        let base = self.knob("base");
        if self.base.replace(base) != Some(base) {
            self.build_base(base);
        }
    }

    fn knob(&self, name: &str) -> u64 {
        self.knobs[name]
    }

    fn build_base(&self, number: u64) {
        let name = format!("{}-base", self.project.name());
        let text =
            format!("FROM {BUSYBOX}\nRUN echo {name} {number} > /number\nONBUILD ENV N={name}\n");
        self.project.write("base/Dockerfile", text);
        self.project.build_image(&name, "base");
    }

    fn compose(&self) -> String {
        let hosts = ["", ", extra_hosts: ['a:127.0.0.2']"][self.knob("hosts") as usize];
        let contexts = match self.modern {
            true => ", additional_contexts: {library: 'service:lib', data: ./data}",
            false => "",
        };
        format!(
            "services:\n  lib: {{build: lib}}\n  api: {{build: {{context: .{contexts}{hosts}, args: {{MODE: m{}, VERSION: v{}, NONE: n{}, GIVEN: '{}'}}}}}}\n",
            self.knob("mode"),
            self.knob("version"),
            self.knob("unused"),
            [BUSYBOX, &format!("{}-base", self.project.name())][self.knob("given") as usize]
        )
    }

    fn library(&self) -> String {
        let name = self.project.name();
        let (env, run) = (self.knob("lib-env"), self.knob("lib-run"));
        format!("FROM {BUSYBOX}\nRUN echo lib {name} {run} > /lib\nENV L={env}\nCOPY f /f\n")
    }

    /// Every stage begins with a step of its own: other tests have the same base.
    fn dockerfile(&self) -> String {
        let name = self.project.name();
        let at = |knob: &str, texts: &[&str]| texts[self.knob(knob) as usize].to_owned();
        let tools = at("stage-name", &["tools", "gear"]);
        let (below, data) = match self.modern {
            true => ("library", "COPY --from=data . /data"),
            false => (BUSYBOX, "COPY data /data"),
        };
        let heredoc = match self.modern {
            true => format!("RUN <<EOF\necho {name} heredoc {}\nEOF\n", self.knob("heredoc")),
            false => format!("RUN echo {name} heredoc {}\n", self.knob("heredoc")),
        };
        let cache = at("cache-mount", &["", ",sharing=locked", ",id=other"]);
        let mut copies = ["COPY app app/\n".to_owned(), format!("{data}\n")];
        if self.knob("order") == 1 {
            copies.reverse();
        }
        [
            format!(
                "ARG GIVEN\nFROM {BUSYBOX} AS {tools}\nRUN echo {name} tools\nENV T={}\n",
                self.knob("tools-env")
            ),
            "COPY tools /tools/\nRUN cat /tools/a > /built\n".to_owned(),
            format!("FROM $GIVEN AS given\nRUN echo {name} given > /given\n"),
            format!("FROM {name}-base AS based\nRUN echo {name} based; cat /number > /copied\n"),
            format!(
                "FROM {below}\nRUN echo {name} final\nARG MODE=x\nARG DEFAULT=d{}\n",
                self.knob("default")
            ),
            format!("LABEL l={}\n", self.knob("label")),
            at("comment", &["", "# one\n", "# one\n# two\n"]),
            format!("ENV E={}\n", self.knob("env")),
            at("more-env", &["", "ENV F=1\n"]),
            at("workdir", &["WORKDIR /w\n", "WORKDIR /v\n"]),
            at("user", &["", "USER 0\n"]),
            "COPY reqs.txt ./\n".to_owned(),
            format!("RUN --mount=type=cache,target=/c{cache} cp reqs.txt /c/; echo $E {name}\n"),
            format!(
                "RUN --mount=type=bind,source=lock.txt,target={} echo $MODE; ls\n",
                at("bind-target", &["/l", "/m"])
            ),
            at("shell", &["", "SHELL [\"/bin/sh\", \"-e\", \"-c\"]\n"]),
            heredoc,
            at("new-run", &["", "RUN echo new\n"]),
            copies.concat(),
            format!("COPY --from={tools} /built /built\nCOPY --from=based /copied /copied\nCOPY --from=given /given /given\n"),
            "RUN echo $DEFAULT; ls\nARG VERSION\nRUN ls /\n".to_owned(),
            format!("RUN echo end {}\nCMD [\"c\"]\n", self.knob("end")),
        ]
        .concat()
    }
}

/// Writes a file unless it is so already.
fn put(path: &Path, content: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(content) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

//! How the sources of a project import each other: which file a name means, and where Python starts.

use crate::init::source::is_identifier;
use crate::init::tree::{Tree, join, parent};

/// The local file or folder below `root` that a dotted name's first part means.
pub fn local(tree: &Tree, root: &str, dotted: &str) -> Option<String> {
    let first = dotted.split('.').next()?;
    let module = join(root, &format!("{first}.py"));
    if tree.has(&module) {
        return Some(module);
    }
    let folder = join(root, first);
    tree.below(&folder).any(|file| file.ends_with(".py")).then_some(folder)
}

/// The source of a dotted name's module, or of the module it is in.
pub fn source(tree: &Tree, root: &str, dotted: &str) -> Option<String> {
    let path = join(root, &dotted.replace('.', "/"));
    [format!("{path}.py"), format!("{path}/__init__.py")].into_iter().find(|file| tree.has(file))
}

/// How much of a dotted name is there below `root`: 2 for a module in a package, 1 for its first part only.
fn resolved(tree: &Tree, root: &str, dotted: &str) -> usize {
    let is_module = |dotted: &str| {
        source(tree, root, dotted).is_some()
            || tree.has_folder(&join(root, &dotted.replace('.', "/")))
    };
    let parents = dotted.match_indices('.').map(|(at, _)| &dotted[..at]);
    if local(tree, root, dotted).is_none() {
        0
    } else if parents.skip(1).chain([dotted]).any(|name| name.contains('.') && is_module(name)) {
        2
    } else {
        1
    }
}

/// The folder that Python must start in to import `file` as the sources around it do.
pub fn import_root(tree: &Tree, file: &str) -> String {
    let mut package = parent(file);
    while !package.is_empty() && tree.has(&join(package, "__init__.py")) {
        package = parent(package);
    }
    let here = parent(file);
    let prefix = if here.is_empty() { String::new() } else { format!("{here}/") };
    let names: Vec<&str> = tree
        .python()
        .filter(|(path, _)| path.starts_with(&prefix))
        .flat_map(|(path, source)| {
            // A `celery.py` that imports `celery` does not import itself.
            let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".py");
            let names = source.imports.modules.iter().map(String::as_str);
            names.filter(move |name| name.split('.').next() != Some(stem))
        })
        .collect();
    // A relative import needs as many folders above.
    let depth = tree.source(file).map_or(0, |source| source.imports.relative);
    let score = |root: &str| -> usize {
        // Within a package a name alone may be that of another package.
        let least = if tree.has(&join(root, "__init__.py")) { 2 } else { 1 };
        names.iter().map(|name| resolved(tree, root, name)).filter(|it| *it >= least).sum()
    };
    // No dotted name goes through a folder like `my-api`: Python starts in it, or further down.
    let can_name = |rest: &str| rest.split('/').all(|part| part.is_empty() || is_identifier(part));
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let ends = here.match_indices('/').map(|(at, _)| at);
    let is_src = |root: &str| root.rsplit('/').next() == Some("src");
    let mut best: Option<((usize, bool, bool), &str)> = None;
    let mut ends: Vec<usize> = [0].into_iter().chain(ends).chain([here.len()]).collect();
    ends.dedup();
    for at in ends {
        let (root, rest) = here.split_at(at);
        if !can_name(rest) || parts(rest) < depth {
            continue;
        }
        // Without imports that tell: the folder around the package, a `src`, else the outermost.
        let rank = (score(root), is_src(root), root == package && package != here);
        if best.is_none_or(|(most, _)| rank > most) {
            best = Some((rank, root));
        }
    }
    best.map_or(package, |(_, root)| root).to_owned()
}

/// The dotted name of `file` when Python starts in `root`.
pub fn module_name(root: &str, file: &str) -> String {
    let inside = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/');
    let name = inside.trim_end_matches(".py").replace('/', ".");
    name.strip_suffix(".__init__").map_or(name.clone(), str::to_owned)
}

/// Modules of the standard library.
pub fn is_standard(module: &str) -> bool {
    const MODULES: &str = " __future__ __main__ abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb \
        binascii binhex bisect builtins bz2 calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys \
        compileall compression concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses \
        datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl \
        filecmp fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib grp gzip hashlib \
        heapq hmac html http imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache \
        locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder multiprocessing netrc nis nntplib \
        numbers operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib \
        posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc queue quopri random re readline reprlib \
        resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib sndhdr socket \
        socketserver spwd sqlite3 ssl stat statistics string stringprep struct subprocess sunau symtable sys sysconfig \
        syslog tabnanny tarfile telnetlib tempfile termios test textwrap threading time timeit tkinter token tokenize \
        tomllib trace traceback tracemalloc tty turtle types typing unicodedata unittest urllib uu uuid venv warnings \
        wave weakref webbrowser wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo ";
    MODULES.contains(&format!(" {module} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_import_root_follows_packages_and_imports() {
        let root = |files: &[(&str, &str)], file| import_root(&Tree::from_files(files), file);
        assert_eq!(root(&[("api/__init__.py", ""), ("api/main.py", "")], "api/main.py"), "");
        assert_eq!(root(&[("api/main.py", "")], "api/main.py"), "");
        assert_eq!(root(&[("main.py", "import utils"), ("utils.py", "")], "main.py"), "");
        let bare = [("api/main.py", "import models"), ("api/models.py", "")];
        assert_eq!(root(&bare, "api/main.py"), "api");
        let backend =
            [("backend/app/main.py", "from app.core import x"), ("backend/app/core.py", "")];
        assert_eq!(root(&backend, "backend/app/main.py"), "backend");
        let package =
            [("backend/app/__init__.py", ""), ("backend/app/main.py", "from app.core import x")];
        assert_eq!(root(&package, "backend/app/main.py"), "backend");
        assert_eq!(
            root(&[("src/shop/__init__.py", ""), ("src/shop/web.py", "")], "src/shop/web.py"),
            "src"
        );
        assert_eq!(root(&[("my-api/main.py", "")], "my-api/main.py"), "my-api");
        assert_eq!(
            root(&[("the apps/one/web/main.py", "")], "the apps/one/web/main.py"),
            "the apps"
        );
        // One name twice: only the inner package has the module.
        for init in [&[][..], &["app/__init__.py", "app/app/__init__.py"]] {
            let mut twice = vec![
                ("app/app/main.py", "from app.db import X"),
                ("app/app/db.py", "X = 1"),
                ("app/setup.py", ""),
            ];
            twice.extend(init.iter().map(|path| (*path, "")));
            assert_eq!(root(&twice, "app/app/main.py"), "app", "{init:?}");
        }
        let shadow = [
            ("shop/__init__.py", "from .celery import app"),
            ("shop/celery.py", "from celery import Celery"),
            ("shop/tasks.py", "from celery import shared_task"),
        ];
        assert_eq!(root(&shadow, "shop/celery.py"), "");
        // `src` is a package where the code says so.
        let src = [("src/main.py", "from src.db import X"), ("src/db.py", "X = 1")];
        assert_eq!(root(&src, "src/main.py"), "");
        let plain = [("src/main.py", "import db"), ("src/db.py", "X = 1")];
        assert_eq!(root(&plain, "src/main.py"), "src");
        let relative = [("src/main.py", "from .db import X"), ("src/db.py", "")];
        assert_eq!(root(&relative, "src/main.py"), "");
        assert_eq!(module_name("backend", "backend/app/main.py"), "app.main");
        assert_eq!(module_name("", "app/__init__.py"), "app");
    }
}

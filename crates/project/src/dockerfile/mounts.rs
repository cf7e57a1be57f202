//! Cache mounts of a RUN, as its text tells, and what it runs on them.

use std::borrow::Cow;

/// A `--mount=type=cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountSpec {
    /// `id=`; by default the cleaned target (BuildKit `dockerfile2llb`).
    pub id: String,
    /// Where it is mounted, cleaned.
    pub target: String,
    /// `shared`, `private` or `locked`.
    pub sharing: String,
    /// What it begins with.
    pub beginning: Beginning,
}

/// What stands in a cache mount before its first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beginning {
    /// Nothing.
    Empty,
    /// Nothing, in a directory with an owner and a mode.
    Directory {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Permissions.
        mode: u32,
    },
    /// Files of a stage or image, or what a variable says.
    Other,
}

/// The cache mounts of an instruction, in one line as the engine writes it in the names of steps:
/// with the values of variables. Anything else than a RUN has none.
pub fn cache_mounts(instruction: &str) -> Vec<CacheMountSpec> {
    match instruction.trim_start().split_once(char::is_whitespace) {
        Some((keyword, rest)) if keyword.eq_ignore_ascii_case("RUN") => {
            let flags = flags(rest).into_iter();
            flags.filter_map(|flag| cache_mount(flag.strip_prefix("--mount=")?)).collect()
        }
        _ => Vec::new(),
    }
}

/// The flags that `text` begins with, as BuildKit reads them (`frontend/dockerfile/parser`, `extractBuilderFlags`): quotes go, a
/// backslash stands for what follows it, and every byte is a character, so that what is not ASCII becomes something else.
pub(super) fn flags(text: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (mut flag, mut quote, mut bytes) = (String::new(), None, rest.bytes().enumerate());
        let end = loop {
            match (bytes.next(), quote) {
                (None, _) => break rest.len(),
                (Some((at, b' ' | b'\t' | b'\n' | b'\r' | 0xb | 0xc)), None) => break at,
                (Some((_, byte @ (b'"' | b'\''))), None) => quote = Some(byte),
                (Some((_, byte)), Some(open)) if byte == open => quote = None,
                (Some((_, b'\\')), _) => {
                    flag.extend(bytes.next().map(|(_, byte)| char::from(byte)))
                }
                (Some((_, byte)), _) => flag.push(char::from(byte)),
            }
        };
        rest = rest[end..].trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    flags
}

/// How BuildKit reads what stands in a flag.
pub fn as_in_flag(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// What an instruction does, for people: a RUN without its options, of which mounts alone would take all the room there
/// is. Anything else is left as it is.
pub fn without_options(instruction: &str) -> Cow<'_, str> {
    let Some((keyword, rest)) = instruction.split_once(' ') else { return instruction.into() };
    if !keyword.eq_ignore_ascii_case("RUN") {
        return instruction.into();
    }
    let mut command = rest.trim_start();
    while command.starts_with("--") {
        command = command[word_end(command)..].trim_start();
    }
    match command {
        "" => instruction.into(),
        command if command.len() == rest.len() => instruction.into(),
        command => format!("{keyword} {command}").into(),
    }
}

/// Where the first word ends; blanks within quotes belong to it.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    let end = text.char_indices().find(|(_, char)| match quote {
        None if matches!(char, '"' | '\'') => {
            quote = Some(*char);
            false
        }
        None => char.is_whitespace(),
        Some(open) => {
            if *char == open {
                quote = None;
            }
            false
        }
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// One mount; `None` for one of another type or without a target.
pub(super) fn cache_mount(fields: &str) -> Option<CacheMountSpec> {
    let fields = fields.trim_matches(['"', '\'']);
    let (mut is_cache, mut id, mut target, mut sharing) = (false, None, None, "shared".to_owned());
    let mut owner = Owner::default();
    for field in fields.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let value = value.trim_matches(['"', '\'']);
        match key.trim_matches(['"', '\'']).to_ascii_lowercase().as_str() {
            "type" => is_cache = value.eq_ignore_ascii_case("cache"),
            "id" => id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "target" | "dst" | "destination" => target = Some(clean(value)),
            "sharing" => sharing = value.to_ascii_lowercase(),
            key => owner.read(key, value),
        }
    }
    let target = target.filter(|_| is_cache)?;
    let id = id.unwrap_or_else(|| target.clone());
    Some(CacheMountSpec { id, target, sharing, beginning: owner.beginning() })
}

/// The options that say what a mount begins with (BuildKit `dockerfile2llb`, `dispatchRunMounts`).
#[derive(Default)]
struct Owner {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
    is_other: bool,
}

impl Owner {
    fn read(&mut self, key: &str, value: &str) {
        let number = match key {
            "mode" => u32::from_str_radix(value, 8).ok(),
            _ => value.parse().ok(),
        };
        match key {
            "uid" => self.uid = number,
            "gid" => self.gid = number,
            "mode" => self.mode = number,
            "from" => self.is_other |= value != "scratch",
            "source" | "src" => self.is_other |= !clean(value).trim_start_matches('/').is_empty(),
            _ => return,
        }
        self.is_other |= matches!(key, "uid" | "gid" | "mode") && number.is_none();
    }

    fn beginning(&self) -> Beginning {
        if self.is_other {
            return Beginning::Other;
        }
        match (self.uid, self.gid, self.mode) {
            (None, None, None) => Beginning::Empty,
            (uid, gid, mode) => Beginning::Directory {
                uid: uid.unwrap_or(0),
                gid: gid.unwrap_or(0),
                mode: mode.unwrap_or(0o755),
            },
        }
    }
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let rooted = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (rooted, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".to_owned(),
        (false, false) => path,
    }
}

/// A field of a `--mount`.
pub(super) fn field(mount: &str, name: &str) -> Option<String> {
    mount.split(',').find_map(|field| {
        let (key, value) = field.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches(['"', '\'']).to_owned())
    })
}

/// Where a bind mount comes from, and which path of it; `None` for a mount of another type.
pub(super) fn bind(mount: &str) -> Option<(Option<String>, String)> {
    if field(mount, "type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bind")) {
        return None;
    }
    let path = field(mount, "source").or_else(|| field(mount, "src"));
    Some((field(mount, "from"), path.unwrap_or_else(|| ".".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(text: &str) -> Vec<[String; 3]> {
        cache_mounts(text).into_iter().map(|it| [it.id, it.target, it.sharing]).collect()
    }

    #[test]
    fn ids_default_to_the_target() {
        assert_eq!(
            mounts("RUN --mount=type=cache,target=/root/.cache/pip/ pip install x"),
            [["/root/.cache/pip", "/root/.cache/pip", "shared"]]
        );
        assert_eq!(
            mounts(
                "RUN --mount=type=cache,id=apt,dst=/var/cache/../cache/apt,sharing=locked --network=none \
                 --mount=type=secret,id=token --mount=type=cache,destination=rel/x make --mount=type=cache,target=/no"
            ),
            [["apt", "/var/cache/apt", "locked"], ["rel/x", "rel/x", "shared"]]
        );
    }

    #[test]
    fn flags_are_read_as_buildkit_reads_them() {
        for (option, id) in [
            ("id=m\u{e9},target=/e", "m\u{c3}\u{a9}"),
            ("id=\"a b\",target=/e", "a b"),
            ("\"id='a b',target=/e\"", "a b"),
            (r"id=a\ b,target=/e", "a b"),
        ] {
            let text = format!("RUN --mount=type=cache,{option} --network=none make --mount=x");
            assert_eq!(mounts(&text), [[id, "/e", "shared"]], "{option}");
        }
        assert_eq!(flags(" --a  --b=\"c"), ["--a", "--b=c"]);
        assert_eq!(flags("--a -- --b"), ["--a"]);
        assert_eq!(flags(r"--a\"), ["--a"]);
        assert_eq!(as_in_flag("\u{e9}"), "\u{c3}\u{a9}");
    }

    #[test]
    fn owners_and_sources_say_what_a_mount_begins_with() {
        for (options, expected) in [
            ("", Beginning::Empty),
            (",from=scratch,source=/", Beginning::Empty),
            (",uid=1000", Beginning::Directory { uid: 1000, gid: 0, mode: 0o755 }),
            (",gid=7,mode=0700", Beginning::Directory { uid: 0, gid: 7, mode: 0o700 }),
            (",uid=$UID", Beginning::Other),
            (",from=deps", Beginning::Other),
            (",source=/x,uid=1", Beginning::Other),
        ] {
            let text = format!("RUN --mount=type=cache,target=/c{options} make");
            assert_eq!(cache_mounts(&text)[0].beginning, expected, "{options}");
        }
    }

    #[test]
    fn what_runs_is_left_of_a_run() {
        for (instruction, left) in [
            (
                "RUN --mount=type=cache,target=/c --network=none pip install --upgrade x",
                "RUN pip install --upgrade x",
            ),
            ("run --mount=type=bind,source=\"a b\",target=/x  make", "run make"),
            ("RUN --mount=type=secret,id='a b' cat", "RUN cat"),
            ("RUN make --mount=x", "RUN make --mount=x"),
            ("RUN --mount=type=cache,target=/é é", "RUN é"),
            ("RUN --mount=type=cache,target=/c", "RUN --mount=type=cache,target=/c"),
            ("RUN --mount=\"open quote make", "RUN --mount=\"open quote make"),
            ("COPY --from=uv /uv /bin/", "COPY --from=uv /uv /bin/"),
            ("RUN", "RUN"),
            ("", ""),
        ] {
            assert_eq!(without_options(instruction), left);
        }
    }

    #[test]
    fn other_mounts_and_instructions_have_none() {
        for text in [
            "COPY --mount=type=cache,target=/x a b",
            "RUN --mount=type=bind,target=/x make",
            "RUN --mount=type=cache make",
            "RUN",
            "",
        ] {
            assert!(mounts(text).is_empty(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(RUN )?(--mount=)?[a-z=,./\" -]{0,40}") {
            let _ = cache_mounts(&text);
        }
    }
}

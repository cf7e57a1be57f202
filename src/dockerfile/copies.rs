//! What an instruction takes from where: a COPY or ADD, as its text and the name of its step tell, and the bind mounts
//! of a RUN.

use parse_dockerfile::{Flag, Instruction, Source};

/// The paths that an instruction takes from one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CopySources {
    /// `--from`: a stage, an image or a named context; the build context where `None`.
    pub from: Option<String>,
    /// Paths and patterns as they are written, variables replaced. URLs and texts that stand in
    /// the Dockerfile are left out.
    pub paths: Vec<String>,
    /// `--exclude` patterns.
    pub exclude: Vec<String>,
}

/// What an instruction names, variables as they are. Of a RUN, what it mounts of the build context.
pub(super) fn written(instruction: &Instruction<'_>) -> Option<CopySources> {
    if let Instruction::Run(run) = instruction {
        let mounts = run.options.iter().filter(|flag| flag.name.value == "mount");
        let mounts = mounts.filter_map(|flag| bind(&flag.value.as_ref()?.value));
        let paths: Vec<String> =
            mounts.filter(|(from, _)| from.is_none()).map(|(_, path)| path).collect();
        return (!paths.is_empty()).then(|| CopySources { paths, ..CopySources::default() });
    }
    let (flags, sources): (&[Flag<'_>], &[Source<'_>]) = match instruction {
        Instruction::Copy(copy) => (&copy.options, &copy.src),
        Instruction::Add(add) => (&add.options, &add.src),
        _ => return None,
    };
    let values = |name: &'static str| {
        let named = flags.iter().filter(move |flag| flag.name.value == name);
        named.filter_map(|flag| flag.value.as_ref()).map(|value| value.value.to_string())
    };
    let paths = sources.iter().filter_map(|source| match source {
        Source::Path(path) => Some(path.value.to_string()),
        _ => None,
    });
    Some(CopySources {
        from: values("from").next(),
        paths: paths.collect(),
        exclude: values("exclude").collect(),
    })
}

/// The sources of an instruction in one line: all words but the keyword, the flags and the last.
pub(super) fn words(instruction: &str) -> Vec<String> {
    let list = instruction.split_once(" [").and_then(|(_, rest)| rest.strip_suffix(']'));
    let mut words: Vec<String> = match list {
        Some(list) => list.split(", ").map(|word| word.trim_matches('"').to_owned()).collect(),
        None => instruction.split_whitespace().skip(1).map(str::to_owned).collect(),
    };
    words.retain(|word| !word.starts_with("--") && !word.starts_with("<<"));
    words.pop();
    words
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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dockerfile::Outline;

    fn copy_sources(source: &str, step_name: &str) -> Option<CopySources> {
        Outline::new(source).copy_sources(step_name)
    }

    const SOURCE: &str = r#"FROM base AS one
COPY --chown=1:1 a.txt ./b/ \
  /app/
COPY --from=one /x /y
COPY ["two words", "c*", "/app/"]
ADD https://example.com/x.tar /x
COPY ${DIR}/main.py $EXTRA /app/
COPY <<END d /app/
text
END
COPY --exclude=*.md --exclude=tests . /app
RUN --mount=type=bind,from=one,source=/x,target=/x --mount=type=cache,target=/c \
  --mount=type=bind,source=a.lock,target=/a --mount=src=b.lock,target=/b pip install
RUN --mount=source=$X,target=/x true
"#;

    fn of(step: &str) -> Option<(Vec<String>, Option<String>)> {
        copy_sources(SOURCE, step).map(|it| (it.paths, it.from))
    }

    #[test]
    fn paths_are_what_is_written() {
        let paths = |step: &str| of(step).unwrap().0;
        assert_eq!(paths("[2/8] COPY --chown=1:1 a.txt ./b/   /app/"), ["a.txt", "./b/"]);
        assert_eq!(paths("[4/8] COPY [two words, c*, /app/]"), ["two words", "c*"]);
        assert_eq!(paths("[7/8] COPY <<END d /app/"), ["d"]);
        assert_eq!(of("[3/8] COPY --from=one /x /y").unwrap().1.as_deref(), Some("one"));
        let all = copy_sources(SOURCE, "[8/8] COPY --exclude=*.md --exclude=tests . /app").unwrap();
        assert_eq!(
            (all.paths, all.exclude),
            (vec![".".into()], vec!["*.md".into(), "tests".into()])
        );
    }

    #[test]
    fn bind_mounts_of_the_context_are_read() {
        assert_eq!(of("[9/10] RUN pip").unwrap(), (vec!["a.lock".into(), "b.lock".into()], None));
        assert_eq!(of("[10/10] RUN true"), None, "a variable is in the path");
    }

    #[test]
    fn variables_are_taken_from_the_name() {
        let paths = of("[6/8] COPY api/main.py extra.txt /app/").unwrap().0;
        assert_eq!(paths, ["api/main.py", "extra.txt"]);
    }

    #[test]
    fn what_reads_no_directory_has_no_sources() {
        for step in ["[5/8] ADD https://example.com/x.tar /x", "[1/8] FROM base", "RUN x", ""] {
            assert_eq!(of(step), None, "{step}");
        }
        assert_eq!(copy_sources("FORM x", "[2/2] COPY a b"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(
            source in "(FROM|COPY|ADD|\\[|<<E|E|\\\\|\"|\\$|#|\n| |x){0,40}",
            name in "(\\[[0-9]/[0-9]\\] )?(COPY|ADD) \\PC{0,20}",
        ) {
            let _ = copy_sources(&source, &name);
        }
    }
}

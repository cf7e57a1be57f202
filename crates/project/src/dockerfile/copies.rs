//! What an instruction takes from where: a COPY or ADD, as its text and the name of its step tell, and the bind mounts
//! of a RUN.

use super::mounts::bind;
use super::syntax::Instruction;

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
pub(super) fn written(instruction: &Instruction) -> Option<CopySources> {
    if instruction.is_onbuild {
        return None;
    }
    match instruction.keyword.as_str() {
        "RUN" => {
            let mounts = instruction.flag("mount").filter_map(|(mount, _)| bind(mount));
            let paths: Vec<String> =
                mounts.filter(|(from, _)| from.is_none()).map(|(_, path)| path).collect();
            (!paths.is_empty()).then(|| CopySources { paths, ..CopySources::default() })
        }
        "COPY" | "ADD" => {
            let values =
                |name: &'static str| instruction.flag(name).map(|(value, _)| value.to_owned());
            let (_, sources) = instruction.words().split_last()?;
            let paths = sources.iter().map(|word| word.value.clone());
            Some(CopySources {
                from: values("from").next(),
                paths: paths.filter(|path| !path.starts_with("<<")).collect(),
                exclude: values("exclude").collect(),
            })
        }
        _ => None,
    }
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

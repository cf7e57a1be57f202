//! A file after a change that keeps it valid: a line of comment where its language has one, blank lines at its
//! end where it has none.

use std::path::Path;

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its new content.
    pub content: Vec<u8>,
    /// What was done, as in `a comment line was added`.
    pub what: String,
}

/// `original` changed for the `number`th time; every number gives another content. `lines` are added before
/// the mark.
pub fn edited(path: &Path, original: &[u8], mark: &str, number: usize, lines: &[String]) -> Edit {
    let mut content = original.to_vec();
    if content.last().is_some_and(|last| *last != b'\n') {
        content.push(b'\n');
    }
    for line in lines {
        content.extend_from_slice(line.as_bytes());
        content.push(b'\n');
    }
    let mark = format!("doc2md-docker bench {mark} {number}");
    let mut done: Vec<String> = lines.iter().map(|line| format!("`{line}`")).collect();
    match comment(path, original) {
        Some((open, close)) => {
            content.extend_from_slice(format!("{open}{mark}{close}\n").as_bytes());
            done.push("a comment line".to_owned());
        }
        None => {
            content.extend(std::iter::repeat_n(b'\n', number));
            done.push("blank lines".to_owned());
        }
    }
    Edit { content, what: format!("{} at its end", done.join(" and ")) }
}

/// How a comment starts and ends in a file of this name.
fn comment(path: &Path, text: &[u8]) -> Option<(&'static str, &'static str)> {
    const HASH: Option<(&str, &str)> = Some(("# ", ""));
    const SLASHES: Option<(&str, &str)> = Some(("// ", ""));
    let name = path.file_name()?.to_str()?;
    match name {
        "Makefile" | "Gemfile" | "Pipfile" | "Rakefile" => return HASH,
        "go.mod" => return SLASHES,
        // No comments: their readers check every line.
        "Gemfile.lock" | "go.sum" | "composer.lock" => return None,
        _ => {}
    }
    match path.extension()?.to_str()? {
        // Pipfile.lock and others are JSON.
        "lock" if text.trim_ascii_start().starts_with(b"{") => None,
        "py" | "pyi" | "pyx" | "sh" | "bash" | "rb" | "pl" | "r" | "toml" | "yaml" | "yml"
        | "cfg" | "ini" | "conf" | "in" | "lock" | "env" | "ex" | "exs" | "jl" => HASH,
        "txt" if is_requirements(name) => HASH,
        "js" | "mjs" | "cjs" | "ts" | "mts" | "jsx" | "tsx" | "go" | "rs" | "java" | "kt"
        | "scala" | "c" | "h" | "cc" | "cpp" | "hpp" | "cs" | "swift" | "dart" | "gradle" => {
            SLASHES
        }
        "css" | "scss" => Some(("/* ", " */")),
        "html" | "htm" | "vue" | "svelte" | "xml" | "svg" | "md" => Some(("<!-- ", " -->")),
        "sql" | "lua" => Some(("-- ", "")),
        _ => None,
    }
}

/// Whether a `.txt` is one that pip reads.
fn is_requirements(name: &str) -> bool {
    name.contains("requirement") || name.contains("constraint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, original: &str, number: usize, lines: &[&str]) -> (String, String) {
        let lines: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
        let edited = edited(Path::new(path), original.as_bytes(), "x", number, &lines);
        (String::from_utf8_lossy(&edited.content).into_owned(), edited.what)
    }

    #[test]
    fn a_comment_is_one_of_the_language() {
        assert_eq!(
            text("api/main.py", "a = 1", 2, &[]),
            ("a = 1\n# doc2md-docker bench x 2\n".into(), "a comment line at its end".into())
        );
        assert_eq!(text("a/b.ts", "", 1, &[]).0, "// doc2md-docker bench x 1\n");
        assert_eq!(text("a.css", "", 1, &[]).0, "/* doc2md-docker bench x 1 */\n");
        assert_eq!(text("uv.lock", "v = 1\n", 1, &[]).0, "v = 1\n# doc2md-docker bench x 1\n");
    }

    #[test]
    fn where_there_are_no_comments_only_the_end_grows() {
        for path in ["package.json", "Pipfile.lock", "notes.txt", "LICENSE"] {
            assert_eq!(
                text(path, "{}\n", 3, &[]),
                ("{}\n\n\n\n".into(), "blank lines at its end".into())
            );
        }
    }

    #[test]
    fn requirements_are_added_as_they_are_given() {
        assert_eq!(
            text("requirements.txt", "a==1\n", 1, &["humanize==4.*"]),
            (
                "a==1\nhumanize==4.*\n# doc2md-docker bench x 1\n".into(),
                "`humanize==4.*` and a comment line at its end".into()
            )
        );
    }
}

//! The line number in BuildKit's parse errors.

/// Takes `dockerfile parse error on line 3: TEXT` apart, wherever in `message` it stands. 20.10
/// says `dockerfile parse error line 3`. Only the first line of the text is the error.
pub fn parse_error(message: &str) -> Option<(usize, &str)> {
    let (_, rest) = message.split_once("parse error ")?;
    let rest = rest.strip_prefix("on ").unwrap_or(rest).strip_prefix("line ")?;
    let (line, text) = rest.split_once(':')?;
    let line = line.trim().parse().ok().filter(|line| *line > 0)?;
    Some((line, text.trim_start().lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_wordings_of_all_engines() {
        // 20.10.24
        assert_eq!(
            parse_error(
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: unknown instruction: FORM"
            ),
            Some((3, "unknown instruction: FORM"))
        );
        // 26.1.5 and 28.5.2
        assert_eq!(
            parse_error(
                "dockerfile parse error on line 3: unknown instruction: FORM (did you mean FROM?)"
            ),
            Some((3, "unknown instruction: FORM (did you mean FROM?)"))
        );
        assert_eq!(
            parse_error(
                "dockerfile parse error on line 2: unknown flag: --chwon (did you mean chown?)"
            ),
            Some((2, "unknown flag: --chwon (did you mean chown?)"))
        );
    }

    #[test]
    fn other_messages_have_no_line() {
        assert_eq!(parse_error("the Dockerfile cannot be empty"), None);
        assert_eq!(parse_error("parse error on line x: y"), None);
        assert_eq!(parse_error("parse error on line 0: y"), None);
    }
}

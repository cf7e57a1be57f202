//! How long functions are. Sources are formatted, so a function ends at the first brace below its own beginning.

/// Lines of code of a function, without blank ones and comments, that still can be taken in at once.
const LIMIT: usize = 65;

/// Functions of a file that are longer than the limit, but for those of its tests: names and lines.
pub(crate) fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|it| it[0] == "#[cfg(test)]" && it[1].ends_with('{'));
    let lines = &lines[..tests.unwrap_or(lines.len())];
    let mut long = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let body = lines[index..].iter().take_while(|line| **line != end);
        let is_code = |line: &&&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let count = body.filter(is_code).count() + 1;
        if count > LIMIT && !line.ends_with(';') {
            long.push((name.to_owned(), count));
        }
    }
    long
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let qualifiers = before.split_whitespace();
    let is_function = qualifiers.into_iter().all(|word| {
        word.starts_with("pub") || ["const", "async", "in"].contains(&word) || word.ends_with(')')
    });
    is_function.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

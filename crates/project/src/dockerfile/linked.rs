//! Dockerfiles of which stages begin with results of other targets.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::locate::Outline;
use super::syntax::Syntax;

/// The outline of a Dockerfile whose named contexts `linked` are results of other targets. `args` are the build arguments
/// that are given: a FROM may name a context by one.
pub fn outline(source: &str, linked: &[&str], args: &BTreeMap<String, String>) -> Outline {
    let above = OnceCell::new();
    Outline::with_linked(source, &|image| {
        let is_linked = |image: &str| linked.iter().any(|name| name.eq_ignore_ascii_case(image));
        match image.contains('$') && !linked.is_empty() {
            true => {
                let above = above.get_or_init(|| Syntax::new(above_stages(source), args));
                is_linked(&above.expand(image))
            }
            false => is_linked(image),
        }
    })
}

/// What stands above all stages: no other ARG counts in a FROM.
fn above_stages(source: &str) -> &str {
    let is_from = |line: &&str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        word.eq_ignore_ascii_case("from")
    };
    let above = source.split_inclusive('\n').take_while(|line| !is_from(line));
    &source[..above.map(str::len).sum()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outline: &Outline, name: &str) -> usize {
        outline.locate(name).map_or(0, |lines| *lines.start())
    }

    #[test]
    fn a_stage_may_name_a_linked_target_by_an_argument() {
        let source = "ARG BASE=lib\nFROM ${BASE}\nARG BASE=x\nRUN one\nRUN one\nFROM $BASE AS b\nRUN two\nRUN two\n";
        let given = |base: &str| BTreeMap::from([("BASE".to_owned(), base.to_owned())]);
        let none = BTreeMap::new();
        for (linked, args, lines) in [
            (&["lib"][..], &none, (5, 8)),
            (&["LIB"], &none, (5, 8)),
            (&["other"], &given("other"), (5, 8)),
            (&["lib"], &given("other"), (4, 7)),
            (&[], &none, (4, 7)),
        ] {
            let outline = outline(source, linked, args);
            let second = ["[stage-0 2/3] RUN something", "[b 2/3] RUN something"];
            let [first, other] = second.map(|name| line(&outline, name));
            // On an image the first instruction has the number 2.
            assert_eq!((first, other), lines, "{linked:?} {args:?}");
        }
    }
}

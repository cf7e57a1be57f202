//! Changes of `--fix`: applied to texts, and shown as a difference. Line endings and byte order marks stay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::model::Finding;

pub(super) use super::model::Edit;

/// Lines around a change that are shown with it.
const AROUND: usize = 2;

/// Edits of all findings by file, each once; of two that overlap the first one.
pub(super) fn by_file(findings: &[Finding]) -> BTreeMap<PathBuf, Vec<Edit>> {
    let mut files: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        files.entry(fix.path.clone()).or_default().extend(fix.edits.iter().cloned());
    }
    for edits in files.values_mut() {
        edits.sort();
        edits.dedup();
        let mut end = 0;
        edits.retain(|edit| {
            let fits = edit.start >= end;
            end = end.max(edit.end);
            fits
        });
    }
    files
}

/// `text` with the edits, which are in order and do not overlap. New lines end as those of the text do.
pub(super) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Edit { start, end, text: new } in edits {
        out.push_str(text.get(at..*start).unwrap_or_default());
        out.push_str(&as_lines_of(text, new));
        at = *end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn as_lines_of(text: &str, new: &str) -> String {
    let has_returns = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
    if has_returns { new.replace('\n', "\r\n") } else { new.to_owned() }
}

/// What the edits change, as `diff -u` shows it.
pub(super) fn difference(name: &str, text: &str, edits: &[Edit]) -> String {
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let mut starts = vec![0];
    for line in &old {
        starts.push(starts[starts.len() - 1] + line.len());
    }
    let line_of = |at: usize| starts.partition_point(|start| *start <= at).saturating_sub(1);
    // Whole lines that change, with the edits in each.
    let mut changes: Vec<(usize, usize, Vec<&Edit>)> = Vec::new();
    for edit in edits {
        let mut first = line_of(edit.start).min(old.len());
        if first == old.len() && !text.ends_with('\n') {
            // What is added goes on with the last line.
            first = first.saturating_sub(1);
        }
        let last = if edit.end > edit.start { line_of(edit.end - 1) } else { first };
        let end = (last + 1).min(old.len());
        match changes.last_mut() {
            Some((_, before, all)) if first < *before => {
                *before = end.max(*before);
                all.push(edit);
            }
            _ => changes.push((first, end, vec![edit])),
        }
    }
    let mut out = format!("--- a/{name}\n+++ b/{name}\n");
    if old.is_empty() {
        out = format!("--- /dev/null\n+++ b/{name}\n");
    }
    let mut shift = 0_isize;
    let mut at = 0;
    while at < changes.len() {
        let mut last = at;
        while last + 1 < changes.len() && changes[last + 1].0 <= changes[last].1 + 2 * AROUND {
            last += 1;
        }
        shift += hunk(&mut out, text, &old, &starts, &changes[at..=last], shift);
        at = last + 1;
    }
    out
}

/// Writes one hunk. Returns by how many lines the text gets longer.
fn hunk(
    out: &mut String,
    text: &str,
    old: &[&str],
    starts: &[usize],
    changes: &[(usize, usize, Vec<&Edit>)],
    shift: isize,
) -> isize {
    let from = changes[0].0.saturating_sub(AROUND);
    let to = (changes[changes.len() - 1].1 + AROUND).min(old.len());
    let mut body = String::new();
    let (mut gone, mut new, mut at) = (0_usize, 0_usize, from);
    let kept = |body: &mut String, range: std::ops::Range<usize>| {
        old[range.clone()].iter().for_each(|line| push(body, ' ', line));
        range.len()
    };
    for (first, end, edits) in changes {
        let same = kept(&mut body, at..*first);
        (gone, new, at) = (gone + same, new + same, *end);
        let (start, stop) = (starts[*first], starts[*end]);
        let moved: Vec<Edit> = edits
            .iter()
            .map(|it| Edit {
                start: it.start - start,
                end: it.end - start,
                text: as_lines_of(text, &it.text),
            })
            .collect();
        let changed = apply(&text[start..stop], &moved);
        old[*first..*end].iter().for_each(|line| push(&mut body, '-', line));
        let lines: Vec<&str> = changed.split_inclusive('\n').collect();
        lines.iter().for_each(|line| push(&mut body, '+', line));
        (gone, new) = (gone + end - first, new + lines.len());
    }
    let same = kept(&mut body, at..to);
    (gone, new) = (gone + same, new + same);
    let begin = |count: usize, from: usize| if count == 0 { from } else { from + 1 };
    let new_from = from.saturating_add_signed(shift);
    let _ =
        write!(out, "@@ -{},{gone} +{},{new} @@\n{body}", begin(gone, from), begin(new, new_from));
    isize::try_from(new).unwrap_or(0) - isize::try_from(gone).unwrap_or(0)
}

fn push(body: &mut String, sign: char, line: &str) {
    body.push(sign);
    body.push_str(line);
    if !line.ends_with('\n') {
        body.push_str("\n\\ No newline at end of file\n");
    }
}

//! What GitHub Actions is told besides the log: annotations at lines of Dockerfiles, a summary in
//! Markdown, outputs for later steps. Pure: the caller writes the files that `GITHUB_STEP_SUMMARY`
//! and `GITHUB_OUTPUT` name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use serde_json::json;

use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::explain::Explanation;
use crate::progress::estimate::Past;
use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunSummary, RunTrace, Step, TargetSummary, TargetTrace};
use crate::terminal::control::{Colours, harmless};
use crate::terminal::format;
use crate::terminal::workflow::Command;
use crate::view::{failure, layer_cache, line, why};

/// Builds whose median is the usual time.
const USUAL_OF: usize = 10;

/// Steps in the list of slow ones.
const SLOWEST: usize = 10;

/// Columns of an instruction in a table.
const INSTRUCTION: usize = 90;

/// Columns of a cause in a table.
const CAUSE: usize = 200;

/// An `::error` for every target that failed.
pub(crate) fn annotations(
    run: &RunTrace,
    summary: &RunSummary,
    workspace: Option<&str>,
) -> Vec<Command> {
    let failed = summary.targets.iter().filter_map(|target| match &target.outcome {
        TargetOutcome::Failed(failure) => Some((target, failure)),
        _ => None,
    });
    let mut commands = Vec::new();
    for (target, failure) in failed {
        let name = &target.info.name;
        let step = run.target(name).and_then(TargetTrace::failed_step).map(|(_, step)| step);
        let mut text = plain(failure.message.trim_end());
        if let Some(step) = step {
            text = format!("{}\n{text}", plain(&line::title(step)));
        }
        if let Some(hint) = &failure.hint {
            let _ = write!(text, "\nhint: {}", plain(hint));
        }
        let mut command = Command::new("error", text);
        if let Some(at) = &failure.place {
            command = command
                .with("file", relative(&at.file, workspace))
                .with("line", at.place.line_start.to_string())
                .with("endLine", at.place.line_end.to_string());
            if let Some(column) = at.place.column {
                command = command.with("col", column.to_string());
            }
        }
        commands.push(command.with("title", format!("failed to build {}", plain(name))));
    }
    commands
}

/// The path from the workspace, as annotations want it; as it is where it lies elsewhere.
fn relative(file: &str, workspace: Option<&str>) -> String {
    let file = normal(Path::new(file));
    let inside =
        workspace.and_then(|workspace| file.strip_prefix(normal(Path::new(workspace))).ok());
    inside.unwrap_or(&file).display().to_string()
}

/// Without `.` and `..`, by the words alone: the file system is not asked.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn plain(text: &str) -> String {
    harmless(text, Colours::Drop)
}

/// Why steps ran that an earlier build had done, for the same page: the dearest first. Nothing where there is nothing to say.
pub fn causes(explanation: &Explanation) -> String {
    let targets = explanation.targets.iter();
    let mut chains: Vec<(&str, why::Chain<'_>)> = targets
        .flat_map(|it| why::surprises(it).into_iter().map(|chain| (it.target.as_str(), chain)))
        .collect();
    if chains.is_empty() {
        return String::new();
    }
    chains.sort_by(|(_, one), (_, other)| other.seconds().total_cmp(&one.seconds()));
    let mut text =
        "\n#### Why steps ran again\n\n| target | step | time | why |\n|---|---|--:|---|\n"
            .to_owned();
    for (target, chain) in chains.iter().take(SLOWEST) {
        let step = chain.first;
        let followed = chain.followed(&why::PAST).map(|it| format!("; {it}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}{followed} |",
            code(target),
            code(&format::cut(&without_options(&step.instruction), INSTRUCTION)),
            format::seconds(step.duration_seconds),
            code(&format::cut(&why::because(step), CAUSE)),
        );
    }
    if chains.len() > SLOWEST {
        let _ = writeln!(text, "\nand {} more: `doc2md-docker why`", chains.len() - SLOWEST);
    }
    text
}

/// The summary of a run for the page of the job. `past` are builds before this one.
pub fn summary(run: &RunTrace, summary: &RunSummary, past: &Past) -> String {
    let all = summary.targets.len();
    let built =
        summary.targets.iter().filter(|t| matches!(t.outcome, TargetOutcome::Built(_))).count();
    let mut text = format!(
        "### doc2md-docker build: {built} of {} built in {}\n\n\
         | target | result | cached | run | time | usual | size | change |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
        counted(all, "target"),
        format::seconds(summary.seconds),
    );
    for target in &summary.targets {
        let cells = row(target, past);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if let Some(line) = layer_cache::line(summary) {
        let _ = writeln!(text, "\n{}{}", code(&line), saved(run, past));
    }
    slowest(&mut text, run, past);
    failures(&mut text, run);
    text
}

/// What cached steps took when they last ran, as far as that is known.
fn saved(run: &RunTrace, past: &Past) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut seconds = 0.0;
    for target in run.targets() {
        for step in target.trace.own_steps() {
            if step.counts_as_cached() == Some(true) && !seen.contains(&step.id.as_str()) {
                seen.push(&step.id);
                let name = &target.info.name;
                seconds += past.median_step(name, &step.label.key(), USUAL_OF).unwrap_or(0.0);
            }
        }
    }
    if seconds < 1.0 {
        return String::new();
    }
    format!("; cached steps took {} when they ran", format::seconds(seconds))
}

fn row(target: &TargetSummary, past: &Past) -> [String; 8] {
    let name = &target.info.name;
    let none = || "-".to_owned();
    let solved = target.started.is_some() && target.info.same_as.is_none();
    let count = |count: usize| if solved { count.to_string() } else { none() };
    let size = match &target.outcome {
        TargetOutcome::Built(image) => image.size_bytes,
        _ => None,
    };
    let result = match (&target.outcome, &target.info.same_as) {
        (TargetOutcome::Built(_), Some(other)) => format!("built as {}", code(other)),
        (TargetOutcome::Built(_), None) => "built".to_owned(),
        (TargetOutcome::Failed(_), _) => "**failed**".to_owned(),
        (TargetOutcome::Cancelled, _) => "cancelled".to_owned(),
    };
    let usual = past.median_seconds(name, USUAL_OF);
    let time = target.seconds();
    let usual = match (usual, time) {
        (Some(usual), Some(time))
            if usual >= 0.05 && matches!(target.outcome, TargetOutcome::Built(_)) =>
        {
            format!("{} ({:+.0} %)", format::seconds(usual), (time / usual - 1.0) * 100.0)
        }
        (Some(usual), _) => format::seconds(usual),
        (None, _) => none(),
    };
    let change = size.zip(past.last_size(name)).map_or_else(none, |(now, then)| {
        let sign = if now < then { "-" } else { "+" };
        format!("{sign}{}", format::bytes(now.abs_diff(then)))
    });
    [
        code(name),
        result,
        count(target.cached),
        count(target.run),
        time.map_or_else(none, format::seconds),
        usual,
        size.map_or_else(none, format::bytes),
        change,
    ]
}

fn slowest(text: &mut String, run: &RunTrace, past: &Past) {
    let mut steps: Vec<(&TargetTrace, &Step)> = Vec::new();
    for target in run.targets() {
        for step in target.trace.own_steps() {
            let ran = step.is_visible() && step.duration().as_secs_f64() >= 0.1;
            // What targets share is one step in the engine.
            if ran && !steps.iter().any(|(_, other)| other.id == step.id) {
                steps.push((target, step));
            }
        }
    }
    if steps.is_empty() {
        return;
    }
    steps.sort_by_key(|(_, step)| std::cmp::Reverse(step.duration()));
    let _ = write!(
        text,
        "\n<details><summary>Slowest steps</summary>\n\n| target | step | time | usual |\n|---|---|--:|--:|\n"
    );
    for (target, step) in steps.into_iter().take(SLOWEST) {
        let name = &target.info.name;
        let usual = past.median_step(name, &step.label.key(), USUAL_OF);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            code(name),
            code(&line::placed("", step, INSTRUCTION)),
            format::duration(step.duration()),
            usual.map_or_else(|| "-".to_owned(), format::seconds),
        );
    }
    text.push_str("\n</details>\n");
}

fn failures(text: &mut String, run: &RunTrace) {
    for target in run.targets() {
        let Some(TargetOutcome::Failed(failed)) = &target.outcome else { continue };
        let _ = write!(text, "\n#### {} failed\n\n", code(&target.info.name));
        let mut lines = Vec::new();
        if let Some((_, step)) = target.failed_step() {
            lines.push(line::title(step));
            let told = failure::worth_repeating(&step.tail);
            lines.extend(told.into_iter().map(|(_, line)| format!("  | {}", line.text)));
        }
        lines.push(failed.message.trim_end().to_owned());
        lines.extend(failed.excerpt.clone());
        lines.extend(failed.hint.as_ref().map(|hint| format!("hint: {hint}")));
        let body = plain(&lines.join("\n"));
        // Longer than any fence in the text, so that nothing in it ends the block.
        let longest = body.split(|char| char != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ = write!(text, "{fence}text\n{body}\n{fence}\n");
    }
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    let text = plain(text).replace(['\n', '\r'], " ");
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<code>{}</code>", text.replace('|', "&#124;").replace('`', "&#96;"))
}

/// Outputs of the step in the form `GITHUB_OUTPUT` wants. `delimiter` must be a word that no value
/// holds.
pub fn outputs(summary: &RunSummary, delimiter: &str) -> String {
    let mut images: Vec<&str> = Vec::new();
    let (mut ids, mut digests) = (BTreeMap::new(), BTreeMap::new());
    let (mut cached, mut run) = (0, 0);
    let mut failed = Vec::new();
    for target in &summary.targets {
        let name = target.info.name.as_str();
        if target.info.same_as.is_none() {
            cached += target.cached;
            run += target.run;
        }
        match &target.outcome {
            TargetOutcome::Built(image) => {
                images.extend(image.references.iter().map(String::as_str));
                ids.insert(name, image.id.as_str());
                if let Some(digest) = image.exporter_response.get("containerimage.digest") {
                    digests.insert(name, digest.as_str());
                }
            }
            TargetOutcome::Failed(_) => failed.push(name),
            TargetOutcome::Cancelled => {}
        }
    }
    images.dedup();
    let outcome = if !failed.is_empty() {
        "failed"
    } else if summary.cancelled.is_some() {
        "cancelled"
    } else {
        "built"
    };
    let ratio = match cached + run {
        0 => 0.0,
        all => cached as f64 / all as f64,
    };
    let mut text = String::new();
    for (name, value) in [
        ("outcome", outcome.to_owned()),
        ("images", images.join("\n")),
        ("ids", json!(ids).to_string()),
        ("digests", json!(digests).to_string()),
        ("failed", failed.join("\n")),
        ("cached-steps", cached.to_string()),
        ("run-steps", run.to_string()),
        ("cached-ratio", format!("{ratio:.3}")),
        ("duration", format!("{:.3}", summary.seconds)),
    ] {
        let _ = writeln!(text, "{name}<<{delimiter}\n{value}\n{delimiter}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::explain;
    use crate::history::{Outcome, StepResult};
    use crate::test_history::{build, step};

    #[test]
    fn causes_are_a_table_in_which_nothing_is_markdown() {
        let of = |number, second| {
            let steps = vec![
                step("[1/3] RUN a", StepResult::Cached, 0.0),
                step(second, StepResult::Ran, 1.5),
                step("[3/3] RUN c", StepResult::Ran, 0.5),
            ];
            build(number, Outcome::Succeeded, steps)
        };
        let now = of(2, "[2/3] RUN a `b` | <i>");
        assert_eq!(causes(&explain(&now, &[])), "");
        let why = causes(&explain(&now, &[of(1, "[2/3] RUN [x](http://y)")]));
        insta::assert_snapshot!(why.trim(), @r"
        #### Why steps ran again

        | target | step | time | why |
        |---|---|--:|---|
        | <code>api</code> | <code>RUN a &#96;b&#96; &#124; &lt;i&gt;</code> | 1.5s | <code>because the instruction changed; it was RUN [x](http://y)</code>; 1 step followed, 0.5s |
        ");
    }

    #[test]
    fn files_are_named_from_the_workspace() {
        for (file, workspace, expected) in [
            ("/ws/app/Dockerfile", Some("/ws"), "app/Dockerfile"),
            ("/ws/examples/doc2md/../../Dockerfile.api", Some("/ws/"), "Dockerfile.api"),
            ("/elsewhere/Dockerfile", Some("/ws"), "/elsewhere/Dockerfile"),
            ("dockerfile_inline", Some("/ws"), "dockerfile_inline"),
            ("./a/Dockerfile", None, "a/Dockerfile"),
        ] {
            assert_eq!(relative(file, workspace), expected);
        }
    }
}

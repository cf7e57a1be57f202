//! What the page says of known, unknown and hostile values.
#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::usage::tests as testing;
use crate::usage::{MountWorth, SizeLine, Worths};

fn epoch() -> Timestamp {
    "2026-11-01T10:00:00Z".parse().unwrap()
}

/// Builds a day apart, and what each made of `api`.
fn history(sizes: &[u64]) -> SizeHistory {
    let day = |at: usize| epoch() + SignedDuration::from_hours(24 * i64::try_from(at).unwrap());
    SizeHistory {
        builds: (0..sizes.len()).map(day).collect(),
        lines: vec![SizeLine {
            service: "api".to_owned(),
            stage: None,
            reference: "p-api".to_owned(),
            sizes: sizes.iter().copied().enumerate().collect(),
        }],
        note: None,
    }
}

fn drawn(report: &StatsReport, history: &SizeHistory, worths: &Worths) -> String {
    page(report, &Extras { history, worths, choices: report.remedies.as_deref() })
}

fn known() -> Worths {
    [("m1".to_owned(), MountWorth { saves_seconds: 65.0, is_bound: true })].into()
}

/// The page without its markup, in one line.
fn words(page: &str) -> String {
    let body = page.split_once("</style>").unwrap().1;
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        text.push(' ');
        rest = after.split_once('>').unwrap().1;
    }
    text += rest;
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[test]
fn the_figures_are_those_of_the_report() {
    let page = drawn(&testing::full_report(), &history(&[100, 150]), &known());
    let text = words(&page);
    says(
        &text,
        &[
            "p takes 1.4 kB",
            "p on Docker 28.5.2 (API 1.51, graph driver). Measured 2026-11-24 12:00:00 UTC.",
            "images, earlier ones too 1.3 kB build cache of its own 60 B volumes 14 B containers 12 B",
            // This project's sums are more than the disk of the test has in use.
            "1.0 kB in all. in use 940 B free 50 B",
            "api p-api 150 B 40 B its own, 110 B shared; 149 B more than before",
            "later p-later not there not built on this engine, or removed",
            "1.1 kB together, what they share counted once.",
            "Images of earlier builds",
            "Sizes that images had after 2 recorded builds of this project on this engine, from 2026-11-01 to 2026-11-02.",
            "p-api: 150 B after the last of 2 builds, 50 B more than at first",
            "cache mounts exec.cachemount 901 B 2 records, 901 B reclaimable",
            "/root/.cache/pip 900 B up to 1m05s 2d worker the engine's due now",
            "1 cache mount on the engine that no Dockerfile of this project names.",
            "doc2md-docker clean 7 B containers that do not run",
            "Layers",
            "p_data p-api-1 not known 7 B",
        ],
    );
}

#[test]
fn bars_are_as_long_as_the_figures_say() {
    let page = drawn(&testing::full_report(), &history(&[100, 150]), &known());
    // api: 40 and 110 of worker's 1110.
    let api = "<rect class=\"part own\" x=\"0%\" y=\"0\" width=\"3.6%\" height=\"100%\"></rect>\
               <rect class=\"part shared\" x=\"3.6%\" y=\"0\" width=\"9.91%\" height=\"100%\"></rect>";
    assert!(page.contains(api), "{page}");
    let line = "<polyline class=\"line\" points=\"0.0,500.0 1000.0,250.0\" vector-effect=\"non-scaling-stroke\">";
    assert!(page.contains(line), "{page}");
}

#[test]
fn growth_has_no_build_one_or_very_many() {
    let report = testing::plain_report();
    let none = SizeHistory { note: Some("nobody <looked>".to_owned()), ..SizeHistory::default() };
    let text = words(&drawn(&report, &none, &known()));
    says(&text, &["No build of this project on this engine is recorded", "nobody &lt;looked&gt;"]);
    let one = drawn(&report, &history(&[100]), &known());
    says(
        &words(&one),
        &["after 1 recorded build of", "2026-11-01", "100 B after the last of 1 build"],
    );
    assert!(one.contains("<circle class=\"dot now\" cx=\"50%\" cy=\"0%\""), "{one}");
    assert!(!one.contains("at first"), "{one}");
    let sizes: Vec<u64> = (0..500).map(|at| 1_000_000 + at * at % 7_919 * 1_000).collect();
    let many = drawn(&report, &history(&sizes), &known());
    assert!(many.len() < 60_000, "{}", many.len());
    assert_eq!(many.matches("<circle class=\"dot").count(), 1);
    let still = drawn(&report, &history(&[7; 500]), &known());
    assert_eq!(still.matches("<circle class=\"dot").count(), 2);
    says(&words(&still), &["7 B after the last of 500 builds, as at first"]);
}

#[test]
fn what_is_unknown_is_said_and_is_not_zero() {
    let mut report = testing::full_report();
    report.cache = Default::default();
    report.disk = None;
    report.remedies = None;
    report.total_bytes = None;
    report.projects[0].volumes_bytes = None;
    for image in &mut report.images {
        (image.unique_bytes, image.shared_bytes) = (None, None);
    }
    let text = words(&drawn(&report, &history(&[1]), &Worths::new()));
    says(
        &text,
        &[
            "p takes at least",
            "volumes not measured",
            "Disk of the engine Not measured",
            "150 B what it shares was not measured",
            "What they take together was not measured.",
            "Build cache of the engine Not measured.",
            "Cache mounts Not measured.",
            "What clean would free Not measured: not everything on the engine could be seen.",
        ],
    );
    let report = testing::full_report();
    let text = words(&drawn(&report, &history(&[1]), &Worths::new()));
    says(&text, &["/root/.cache/pip 900 B not known"]);
}

#[test]
fn the_page_lets_nothing_in() {
    let page = drawn(&testing::full_report(), &history(&[100, 150]), &known());
    for word in
        ["<script", "http://", "https://", " src=", "@import", " style=", "onload", "onclick"]
    {
        assert!(!page.contains(word), "{word:?}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    assert!(page.contains("prefers-color-scheme: dark"));
}

/// A page in which everything that comes from elsewhere is `foreign`.
fn hostile(foreign: &str) -> String {
    let mut report = testing::full_report();
    let name = || foreign.to_owned();
    report.project = name();
    report.projects[0].project = Some(name());
    report.engine.version = name();
    report.notes = vec![name()];
    let image = &mut report.images[0];
    (image.service, image.reference) = (name(), name());
    for layer in &mut image.layers {
        (layer.instruction, layer.dockerfile) = (name(), Some(name()));
    }
    report.dangling[0].service = Some(name());
    report.containers[0].name = name();
    report.volumes[0].name = name();
    report.cache.kinds[0].kind = name();
    let mount = &mut report.cache.mounts[0];
    (mount.id, mount.services) = (Some(name()), vec![name()]);
    let mut history = history(&[100, 150]);
    let line = &mut history.lines[0];
    (line.service, line.stage, line.reference) = (name(), Some(name()), name());
    history.note = Some(name());
    drawn(&report, &history, &Worths::new())
}

#[test]
fn hostile_names_are_shown_as_they_are() {
    let page = hostile("</style></title><img src=x onerror=\"alert('1')\">\u{202e}\u{1b}[31m");
    says(&page, &["&lt;/style&gt;&lt;/title&gt;&lt;img src=x onerror=&quot;alert('1')&quot;&gt;"]);
    for word in ["<img", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(word), "{word:?}");
    }
    // Two of the points of the line.
    assert_eq!((page.matches("</style>").count(), page.matches("</title>").count()), (1, 3));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    /// Nothing a name or a note holds becomes part of the page's own text.
    #[test]
    fn nothing_from_elsewhere_becomes_markup(foreign in "[<>&\"'/a-z!\\-\u{0}\u{202e}ü日]{1,20}") {
        let shape = |page: &str| ["<", ">", "\""].map(|sign| page.matches(sign).count());
        proptest::prop_assert_eq!(shape(&hostile(&foreign)), shape(&hostile("harmless")));
    }
}

//! The formats, on one report.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::usage::budget::{Budget, Budgets};
use crate::usage::tests as testing;
use crate::view::schema_check::faults;

fn report() -> StatsReport {
    let mut report = testing::plain_report();
    let budgets = ["api=100B", "total=7GB", "later=1MB"];
    let mut all = Budgets::default();
    all.replace(budgets.map(|text| Budget::parse(text).unwrap()).to_vec(), None);
    report.budgets = all.verdicts(&report).unwrap();
    report
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn tables() {
    insta::assert_snapshot!("table", plain(&table(&report(), 80, Extent::Short)));
}

#[test]
fn pages() {
    insta::assert_snapshot!("markdown", markdown(&report(), Extent::Short));
}

#[test]
fn metrics() {
    insta::assert_snapshot!("prometheus", prometheus(&report()));
}

#[test]
fn documents() {
    insta::assert_snapshot!("json", json(&report()));
}

#[test]
fn what_a_mount_saves_is_said_where_it_is_known() {
    let known = table(&testing::full_report(), 200, Extent::Short);
    assert!(known.contains("SAVES") && known.contains("up to 1m05s"), "{known}");
    assert!(!table(&report(), 200, Extent::Short).contains("SAVES"));
    let page = prometheus(&testing::full_report());
    assert!(page.contains("doc2md_docker_cache_mount_saves_seconds{"), "{page}");
}

#[test]
fn documents_are_what_their_schema_says() {
    for report in [report(), testing::full_report()] {
        let faults = faults(include_str!("../../../docs/stats.schema.json"), &json(&report));
        assert_eq!(faults, None);
    }
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let mut report = report();
    for image in &mut report.images {
        image.service = "a-service-with-quite-a-long-name".into();
        image.reference = "registry.example.com/a-team/with-a-long-name/doc2md:2026".into();
        image.content_bytes = Some(123_456_789);
        image.previous_size_bytes = Some(1);
    }
    report.containers[0].name = "container-with-an-endless-name-0123456789-0123456789".into();
    for (width, extent) in [40, 50, 60, 80, 120, 200]
        .into_iter()
        .flat_map(|it| [(it, Extent::Short), (it, Extent::All)])
    {
        let text = plain(&table(&report, width, extent));
        for line in text.lines() {
            assert!(crate::terminal::format::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn what_comes_from_elsewhere_is_only_text() {
    let mut report = report();
    report.images[0].reference = "evil\x1b[2J|<b>`x`\n".into();
    report.containers[0].name = "a\"b\\c\nd".into();
    assert!(!table(&report, 80, Extent::All).contains("\x1b[2J"));
    let page = markdown(&report, Extent::All);
    assert!(page.contains("evil&#124;&lt;b&gt;&#96;x&#96;"), "{page}");
    let metrics = prometheus(&report);
    assert!(metrics.contains(r#"container="a\"b\\c\nd""#), "{metrics}");
    let sample = |line: &str| line.starts_with("doc2md_docker_") || line.starts_with("# ");
    assert!(metrics.lines().all(sample), "{metrics}");
}

#[test]
fn workflows_hear_of_broken_budgets() {
    let report = report();
    let commands: Vec<String> = annotations(&report).iter().map(ToString::to_string).collect();
    let expected = "::error title=p is over budget::api=100B: 150 B is 50 B over 100 B";
    assert_eq!(commands, [expected]);
    assert_eq!(outputs(&report), "total-bytes=1150\nover-budget=api=100B\n");
}

//! Findings of each verdict.

use super::{Finding, Trouble, Verdict};

pub(super) fn fine(check: &'static str, message: String) -> Finding {
    Finding { check, verdict: Verdict::Fine, message, advice: None }
}

pub(super) fn note(check: &'static str, message: String, advice: &str) -> Finding {
    Finding { verdict: Verdict::Note, advice: Some(advice.to_owned()), ..fine(check, message) }
}

pub(super) fn warning(check: &'static str, message: String, advice: &str) -> Finding {
    Finding { verdict: Verdict::Warning, ..note(check, message, advice) }
}

pub(super) fn problem(check: &'static str, message: String, advice: &str) -> Finding {
    Finding { verdict: Verdict::Problem, ..note(check, message, advice) }
}

pub(super) fn troubled(check: &'static str, trouble: &Trouble) -> Finding {
    let Trouble { message, hint } = trouble.clone();
    Finding { verdict: Verdict::Problem, advice: hint, ..fine(check, message) }
}

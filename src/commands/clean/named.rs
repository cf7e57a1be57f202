//! Records of the build cache that somebody named: the same plan, question and removal as for `clean`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Clean, How, findings};
use crate::app::App;
use crate::clean::Request;
use crate::clean::survey::Offers;
use crate::error::{CommandError, ExitKind};
use crate::scope;
use crate::view::clean as report;

/// Removes `records`, but for those that a build uses. Each has what the user calls it.
///
/// # Errors
/// As for `clean`; and one of them stays.
pub(in crate::commands) async fn remove(
    app: &App,
    records: BTreeMap<String, String>,
    mut notes: Vec<String>,
    how: How,
) -> Result<(), CommandError> {
    let scope = scope::scope(app)?;
    let findings = findings(app, &scope, &BTreeSet::new(), true, Offers::Never).await?;
    notes.extend(findings.notes.iter().cloned());
    let mut plan = findings.plan(&Request::named(records.keys().cloned().collect()));
    let removed = plan.remove.iter_mut().map(|item| (&item.id, &mut item.shown));
    let kept = plan.keep.iter_mut().map(|item| (&item.id, &mut item.shown));
    for (id, shown) in removed.chain(kept) {
        if let Some(name) = records.get(id) {
            shown.name.clone_from(name);
        }
    }
    if !app.is_quiet() {
        for note in &notes {
            app.ui.note(note);
        }
    }
    let project = &scope.project.name;
    let clean = Clean { app, how, project, builder: None, plan: &plan, offers: &[], notes: &notes };
    if how.dry_run || plan.remove.is_empty() {
        clean.show_only();
    } else {
        clean.show_plan(false);
        let sharing = findings.sharing(&plan);
        let others = (!sharing.is_empty()).then(|| report::sharing(&sharing));
        clean.confirm(others.as_deref()).await?;
        clean.remove(&findings).await?;
    }
    match plan.keep.len() {
        0 => Ok(()),
        _ if how.dry_run => Ok(()),
        kept => {
            let message = format!("{} not removed", report::things(kept));
            Err(CommandError::new(ExitKind::Failed, message)
                .hint("the plan says why; what a build uses can go when that has ended"))
        }
    }
}

//! `doc2md-docker why`: the history's builds to causes.

use super::history::History;
use crate::app::App;
use crate::cli::why::{WhyArgs, WhyFormat};
use crate::error::{CommandError, ExitKind};
use crate::explain::{self, Explanation};
use crate::history::store;
use crate::view::why;

/// Runs the command.
///
/// # Errors
/// A build that is not there or not clear, a service it did not build, or a history that cannot be read.
pub fn run(app: &App, args: &WhyArgs) -> Result<(), CommandError> {
    let history = History::open(app)?;
    let builds = history.builds()?;
    let build = history.read(&builds, &args.build)?;
    // What cannot be read explains nothing, that is all.
    let (others, _) = store::read_all(&builds, usize::MAX);
    let mut explanation = explain::with_advice(build, others);
    only(&mut explanation, &args.services)?;
    app.ui.data(&match args.format {
        WhyFormat::Json => why::document(&explanation),
        WhyFormat::Text => why::text(&explanation, app.ui.data_columns()),
    });
    Ok(())
}

/// Leaves the targets of `services`, if any are named.
fn only(explanation: &mut Explanation, services: &[String]) -> Result<(), CommandError> {
    for service in services {
        if !explanation.targets.iter().any(|target| target.service == *service) {
            let built: Vec<&str> =
                explanation.targets.iter().map(|target| target.service.as_str()).collect();
            return Err(CommandError::new(
                ExitKind::Usage,
                format!("{} has no service {service:?} of its own", explanation.name()),
            )
            .hint(format!("it built {}", built.join(", "))));
        }
    }
    if !services.is_empty() {
        explanation.targets.retain(|target| services.contains(&target.service));
        explanation.advice.retain(|advice| services.contains(&advice.service));
    }
    Ok(())
}

//! `doc2md-docker why`: the history's builds to causes.

use super::recorded::{self, Meaning};
use super::remembered::History;
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
pub async fn run(app: &App, args: &WhyArgs) -> Result<(), CommandError> {
    let own = History::open(app);
    let meant = recorded::meant(own.as_ref().map_err(Clone::clone), &args.build)?;
    let mut explanation = match meant {
        Meaning::Own(build) => {
            // What cannot be read explains nothing, that is all.
            let (others, _) = store::read_all(&own?.builds()?, usize::MAX);
            explain::with_advice(*build, others)
        }
        Meaning::OfEngine(named) => recorded::explain(app, own.as_ref().ok(), named).await?.1,
    };
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

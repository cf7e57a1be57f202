//! What the options of `clean` ask for. Knows no engine.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::clean::{Kind, Offer, Request, SpaceGoal};
use crate::cli::clean::{CacheChoice, Choice, CleanArgs, IncludeKind, OnlyKind};
use crate::error::{CommandError, ExitKind};
use crate::ownership::Include;
use crate::sight::Disk;
use crate::size;

/// What is to be removed.
///
/// # Errors
/// An option cannot be understood, or options contradict each other.
pub(super) fn request(args: &CleanArgs, now: Timestamp) -> Result<Request, CommandError> {
    let cache_goal = goal(args)?;
    if args.old {
        return Ok(Request { until: until(&args.filter, now)?, ..Request::old() });
    }
    Ok(Request {
        only_old: false,
        kinds: kinds(args, cache_goal.is_some())?,
        whole_cache: args.cache == Some(CacheChoice::All),
        pulled_images: args.all,
        stop: args.stop,
        until: until(&args.filter, now)?,
        cache_goal,
        records: None,
    })
}

/// What is to be removed of a builder, which has build cache and nothing else.
///
/// # Errors
/// Those of [`request`]; something else is asked for, or nothing.
pub(super) fn at_builder(args: &CleanArgs, now: Timestamp) -> Result<Request, CommandError> {
    let wants = |choice: Option<Choice>| choice.is_some_and(|it| it != Choice::False);
    let cache_alone = "--cache, --only cache and limits on its size or age work there";
    let refused = [
        ("--old", args.old, "what is current goes by images, which are not there"),
        ("--containers", wants(args.containers), cache_alone),
        ("--networks", wants(args.networks), cache_alone),
        ("--images", wants(args.images), cache_alone),
        ("--volumes", wants(args.volumes), cache_alone),
        ("--only", args.only.iter().any(|kind| *kind != OnlyKind::Cache), cache_alone),
        ("--all", args.all, "--cache=all removes the build cache of everybody"),
        ("--stop", args.stop, cache_alone),
        ("--include", !args.include.is_empty(), "build cache that is not certain stays there"),
        (
            "--min-free-space",
            args.min_free_space.is_some(),
            "its disk cannot be seen from here; --max-used-space works",
        ),
    ];
    if let Some((option, _, hint)) = refused.into_iter().find(|(_, is_given, _)| *is_given) {
        let message = format!("{option} works on docker engines, not on the cache of a builder");
        return Err(CommandError::new(ExitKind::Usage, message).hint(hint));
    }
    let request = request(args, now)?;
    if !request.kinds.contains(&Kind::Cache) {
        let message = "a builder has build cache alone, which goes only where that is asked for";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("--cache removes that of the project, with --dry-run it only shows which"));
    }
    Ok(Request { kinds: [Kind::Cache].into(), ..request })
}

/// Puts the free space of the engine's disk into a goal that is about it.
///
/// # Errors
/// There is such a goal, and the disk cannot be seen.
pub(super) fn see_disk(request: &mut Request, disk: Option<Disk>) -> Result<(), CommandError> {
    if let Some(goal) = request.cache_goal.as_mut().filter(|goal| goal.min_free.is_some()) {
        goal.disk_free = disk.map(|disk| disk.available_bytes).ok_or_else(|| {
            let message =
                "--min-free-space needs the engine's disk, which cannot be seen from here";
            CommandError::new(ExitKind::Usage, message).hint("--max-used-space works everywhere")
        })?;
    }
    Ok(())
}

/// What is taken in on request.
pub(super) fn include(args: &CleanArgs) -> BTreeSet<Include> {
    let included = args.include.iter().map(|what| match what {
        IncludeKind::OtherDirectories => Include::OtherDirectories,
        IncludeKind::Undeclared => Include::Undeclared,
        IncludeKind::Unrecorded => Include::Unrecorded,
    });
    included.collect()
}

/// Whether the options say of volumes that they go: what is in them nobody can build again.
pub(super) fn names_volumes(args: &CleanArgs) -> bool {
    matches!(args.volumes, Some(Choice::True | Choice::Bare))
}

/// What was not asked for, without what was refused.
pub(super) fn not_refused(args: &CleanArgs, mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.retain(|offer| offer.what != "--cache" || args.cache != Some(CacheChoice::False));
    offers
}

fn kinds(args: &CleanArgs, limited: bool) -> Result<BTreeSet<Kind>, CommandError> {
    if !args.only.is_empty() {
        let mut kinds: BTreeSet<Kind> = args
            .only
            .iter()
            .map(|kind| match kind {
                OnlyKind::Containers => Kind::Container,
                OnlyKind::Networks => Kind::Network,
                OnlyKind::Images => Kind::Image,
                OnlyKind::Volumes => Kind::Volume,
                OnlyKind::Cache => Kind::Cache,
            })
            .collect();
        if matches!(args.cache, Some(CacheChoice::True | CacheChoice::All)) {
            kinds.insert(Kind::Cache);
        }
        return Ok(kinds);
    }
    // A size goal is about the cache: nothing else goes unless it is asked for.
    let default = !limited;
    let cache = match args.cache {
        None => limited,
        Some(choice) => choice != CacheChoice::False,
    };
    if limited && !cache {
        let message = "a size goal is about the build cache, and --cache=false keeps that";
        return Err(CommandError::new(ExitKind::Usage, message));
    }
    let alone =
        [("containers", args.containers), ("networks", args.networks), ("images", args.images)];
    if let Some((name, _)) =
        alone.into_iter().find(|(_, choice)| default && *choice == Some(Choice::Bare))
    {
        let message =
            format!("--{name} alone changes nothing: {name} go without it, like the rest");
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint(format!("--only {name} removes {name} alone, --{name}=false keeps them")));
    }
    let wanted = |choice: Option<Choice>| choice.map_or(default, |it| it != Choice::False);
    let chosen = [
        (Kind::Container, wanted(args.containers)),
        (Kind::Network, wanted(args.networks)),
        (Kind::Image, wanted(args.images)),
        (Kind::Volume, wanted(args.volumes)),
        (Kind::Cache, cache),
    ];
    Ok(chosen.into_iter().filter_map(|(kind, wanted)| wanted.then_some(kind)).collect())
}

fn goal(args: &CleanArgs) -> Result<Option<SpaceGoal>, CommandError> {
    let given = |option: &Option<String>, name: &str| {
        option.as_deref().map(|text| bytes(text, name)).transpose()
    };
    let max_used = given(&args.max_used_space, "--max-used-space")?;
    let min_free = given(&args.min_free_space, "--min-free-space")?;
    let reserved = given(&args.reserved_space, "--reserved-space")?;
    let any = max_used.or(min_free).or(reserved).is_some();
    let reserved = reserved.unwrap_or(0);
    Ok(any.then_some(SpaceGoal { reserved, max_used, min_free, disk_free: 0 }))
}

fn bytes(text: &str, option: &str) -> Result<u64, CommandError> {
    size::parse(text).map_err(|fault| {
        CommandError::new(ExitKind::Usage, format!("{option} is {text:?}, which {fault}"))
            .hint("use a number and a unit, such as 5GB or 512MiB")
    })
}

/// `until=` as docker knows it: a duration back from now, or a moment.
fn until(filters: &[String], now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
    let mut until: Option<Timestamp> = None;
    for filter in filters {
        let wrong = |why: &str| {
            CommandError::new(ExitKind::Usage, format!("--filter {filter}: {why}"))
                .hint("use until=48h, or until=2026-11-01T00:00:00Z")
        };
        let Some(("until", value)) = filter.split_once('=') else {
            return Err(wrong("the only filter is until"));
        };
        let moment = match (value.parse::<SignedDuration>(), value.parse::<Timestamp>()) {
            (Ok(age), _) if age.is_negative() => return Err(wrong("an age is not negative")),
            (Ok(age), _) => now.checked_sub(age).map_err(|_| wrong("so long ago nothing was"))?,
            (_, Ok(moment)) => moment,
            _ => return Err(wrong("neither a duration nor a moment")),
        };
        until = Some(until.map_or(moment, |other| other.min(moment)));
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn asked(options: &str) -> Result<Request, String> {
        let line = ["doc2md-docker", "clean"].into_iter().chain(options.split_whitespace());
        let cli = Cli::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Clean(args) = cli.command else { panic!() };
        request(&args, Timestamp::from_second(1_000_000).unwrap()).map_err(|error| error.message)
    }

    fn kinds_of(options: &str) -> String {
        let kinds: Vec<String> =
            asked(options).unwrap().kinds.iter().map(Kind::to_string).collect();
        kinds.join(" ")
    }

    #[test]
    fn kinds_are_chosen_in_dockers_manner() {
        assert_eq!(kinds_of(""), "container network image volume");
        assert_eq!(kinds_of("--cache"), "container network image volume cache");
        assert_eq!(
            kinds_of("--cache=true --images=false --volumes=false"),
            "container network cache"
        );
        assert_eq!(kinds_of("--volumes"), "container network image volume");
        assert_eq!(kinds_of("--images=true --volumes=false"), "container network image");
        for alone in ["--images", "--containers", "--networks", "--images --cache"] {
            let refused = asked(alone).unwrap_err();
            assert!(refused.contains("alone changes nothing"), "{refused}");
        }
        assert_eq!(kinds_of("--only cache --only image"), "image cache");
        assert_eq!(kinds_of("--only cache --cache=all"), "cache");
        assert!(asked("--cache=all").unwrap().whole_cache);
        assert_eq!(kinds_of("--max-used-space 5GB"), "cache");
        assert_eq!(kinds_of("--max-used-space 5GB --images"), "image cache");
        let goal = |options: &str| asked(options).unwrap().cache_goal.unwrap();
        assert_eq!(goal("--keep-storage 1KiB").max_used, Some(1024));
        let both = goal("--reserved-space 1MB --min-free-space 10GB");
        assert_eq!((both.reserved, both.min_free), (1_000_000, Some(10_000_000_000)));
        assert_eq!(kinds_of("--min-free-space 1GB"), "cache");
        assert!(asked("--only cache --images=false").is_err());
        assert!(asked("--max-used-space 5GB --cache=false").is_err());
        assert!(asked("--max-used-space many").is_err());
        let without_unit = asked("--max-used-space 5").unwrap_err();
        assert_eq!(without_unit, "--max-used-space is \"5\", which has no unit");
        assert_eq!(goal("--max-used-space 5B").max_used, Some(5));
        assert_eq!(goal("--max-used-space 0").max_used, Some(0));
    }

    #[test]
    fn without_options_it_is_what_stats_says_of_it() {
        let text = |request: &Request| format!("{request:?}");
        assert_eq!(text(&asked("").unwrap()), text(&Request::things()));
        assert_eq!(text(&asked("--only cache").unwrap()), text(&Request::cache()));
        assert_eq!(text(&asked("--old").unwrap()), text(&Request::old()));
    }

    #[test]
    fn of_a_builder_cache_alone_is_asked_for() {
        let asked = |options: &str| {
            let line = ["doc2md-docker", "clean"].into_iter().chain(options.split_whitespace());
            let Command::Clean(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
            at_builder(&args, Timestamp::from_second(1_000_000).unwrap())
                .map_err(|error| error.message)
        };
        let cache = BTreeSet::from([Kind::Cache]);
        for options in [
            "--cache",
            "--cache=all",
            "--only cache",
            "--max-used-space 5GB",
            "--cache --reserved-space 1GB",
            "--cache --filter until=48h --images=false",
        ] {
            let request = asked(options).unwrap();
            assert_eq!(request.kinds, cache, "{options}");
            assert_eq!(request.whole_cache, options.contains("all"), "{options}");
        }
        assert!(asked("--cache --filter until=48h").unwrap().until.is_some());
        for options in ["", "--filter until=48h", "--cache=false", "--images=false"] {
            assert!(asked(options).unwrap_err().contains("only where"), "{options}");
        }
        for options in [
            "--old",
            "--cache --images=true",
            "--cache --volumes",
            "--only images --cache",
            "--cache --all",
            "--cache --stop",
            "--cache --include undeclared",
            "--min-free-space 5GB",
        ] {
            assert!(asked(options).unwrap_err().contains("works on docker engines"), "{options}");
        }
    }

    #[test]
    fn what_is_old_is_asked_for_alone() {
        let old = asked("--old --filter until=100s --include unrecorded").unwrap();
        assert!(old.only_old && old.until.is_some());
        assert_eq!(kinds_of("--old"), "image cache");
        for more in [
            "--cache",
            "--cache=all",
            "--cache=false",
            "--images",
            "--images=false",
            "--containers=false",
            "--networks=false",
            "--volumes",
            "--only images",
            "--all",
            "--stop",
            "--max-used-space 5GB",
            "--min-free-space 5GB",
            "--reserved-space 5GB",
        ] {
            let refused = asked(&format!("--old {more}")).unwrap_err();
            assert!(refused.contains("cannot be used with"), "{more}: {refused}");
        }
    }

    #[test]
    fn an_age_counts_from_now_and_the_strictest_wins() {
        let until = |options: &str| asked(options).unwrap().until.unwrap().as_second();
        assert_eq!(until("--filter until=100s"), 999_900);
        assert_eq!(until("--filter until=1h30m --filter until=10s"), 994_600);
        assert_eq!(until("--filter until=1970-01-02T00:00:00Z"), 86_400);
        for wrong in ["until=", "until=-5s", "label=a", "until"] {
            assert!(asked(&format!("--filter {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn f_is_force_and_the_file_option_is_long() {
        let parse = |line: &[&str]| Cli::try_parse_from(line).unwrap();
        let cli = parse(&["x", "clean", "-f", "--file", "a.yaml"]);
        assert_eq!(cli.global.project.files, [std::path::PathBuf::from("a.yaml")]);
        let Command::Clean(args) = cli.command else { panic!() };
        assert!(args.force);
        let cli = parse(&["x", "-f", "b.yaml", "clean"]);
        assert_eq!(cli.global.project.files, [std::path::PathBuf::from("b.yaml")]);
        let Command::Clean(args) = cli.command else { panic!() };
        assert!(!args.force);
    }
}

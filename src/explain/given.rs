//! How what a target was given differs between two builds: arguments, bases, whatever makes no step.

use std::collections::BTreeSet;

use super::cause::Reason;
use crate::history::{BaseImage, Inputs};

/// What `base` was in an earlier build, where that is known to be another image: one with other layers, where these are known.
pub(super) fn moved<'a>(base: &BaseImage, before: &'a Inputs) -> Option<&'a BaseImage> {
    renamed(base, before).filter(|was| was.layers.is_none() || was.layers != base.layers)
}

/// The same, and it may have the same layers.
fn renamed<'a>(base: &BaseImage, before: &'a Inputs) -> Option<&'a BaseImage> {
    let was = before.bases.iter().find(|it| it.reference == base.reference)?;
    (was.digest != base.digest && was.digest.is_some() && base.digest.is_some()).then_some(was)
}

/// Whether it is known of all base images which ones they were: an engine that is busy may not have told.
pub(super) fn bases_are_known(old: &Inputs, new: &Inputs) -> bool {
    old.bases.iter().chain(&new.bases).all(|base| base.digest.is_some())
}

/// The base images that are others than before.
pub(super) fn moved_bases(old: &Inputs, new: &Inputs) -> impl Iterator<Item = Reason> {
    new.bases.iter().filter_map(|base| Some(another(moved(base, old)?, base)))
}

/// How an image differs from before, which may have the same layers.
pub(super) fn renamed_base(base: &BaseImage, old: &Inputs) -> Option<Reason> {
    Some(another(renamed(base, old)?, base))
}

fn another(was: &BaseImage, is: &BaseImage) -> Reason {
    let (reference, from, to) = (is.reference.clone(), was.digest.clone(), is.digest.clone());
    Reason::Base { reference, from, to }
}

/// The same of one image.
pub(super) fn moved_base(old: &Inputs, new: &Inputs, reference: &str) -> Option<Reason> {
    moved_bases(old, new)
        .find(|it| matches!(it, Reason::Base { reference: moved, .. } if moved == reference))
}

/// The arguments that have other values.
pub(super) fn changed_arguments(old: &Inputs, new: &Inputs) -> Vec<Reason> {
    let is_another = |name: &&str| new.has_same_argument(old, name) == Some(false);
    new.arguments_with(old)
        .filter(is_another)
        .map(|name| Reason::Argument {
            argument: name.to_owned(),
            from: old.args.get(name).cloned(),
            to: new.args.get(name).cloned(),
        })
        .collect()
}

/// The argument whose value alone makes two texts differ: engines name steps with values in place.
pub(super) fn replaced_argument(old: &Inputs, new: &Inputs, texts: (&str, &str)) -> Option<Reason> {
    changed_arguments(old, new).into_iter().find(|it| match it {
        Reason::Argument { from: Some(from), to: Some(to), .. } => {
            !to.is_empty() && differs_by_value(texts.0, texts.1, from, to)
        }
        _ => false,
    })
}

/// The first thing set above a step that is another one than before; `old` and `new` are all that is set there, in order.
pub(super) fn changed_setting(old: &[&str], new: &[&str]) -> Option<Reason> {
    let last = |all: &[&str], name: &str| {
        all.iter().rfind(|text| setting_name(text) == name).map(|text| (*text).to_owned())
    };
    let change = |(from, to): (Option<String>, Option<String>)| {
        (from != to).then_some(Reason::Instruction { from, to, above: true })
    };
    let both = |text: &&str| {
        let name = setting_name(text);
        (last(old, name), last(new, name))
    };
    new.iter().chain(old).map(both).find_map(change)
}

/// `ENV A` of `ENV A=1`, `USER` of `USER 1`.
pub(super) fn setting_name(text: &str) -> &str {
    let end = if text.starts_with("ENV ") || text.starts_with("ARG ") { '=' } else { ' ' };
    text.split(end).next().unwrap_or(text)
}

/// What changed, in words.
pub(super) fn changes(old: &Inputs, new: &Inputs) -> Vec<String> {
    let name = |it: Reason| match it {
        Reason::Argument { argument, .. } => Some(format!("argument {argument}")),
        _ => None,
    };
    let mut changed: Vec<String> =
        changed_arguments(old, new).into_iter().filter_map(name).collect();
    if old.dockerfile_digest != new.dockerfile_digest {
        changed.push("the Dockerfile".to_owned());
    }
    let names = old.options.keys().chain(new.options.keys());
    let is_another = |name: &&String| old.options.get(*name) != new.options.get(*name);
    let options: BTreeSet<&String> = names.filter(is_another).collect();
    changed.extend(options.into_iter().map(|name| format!("option {name}")));
    if old.contexts != new.contexts {
        changed.push("named contexts".to_owned());
    }
    if old.platforms != new.platforms {
        changed.push("platforms".to_owned());
    }
    if old.context != new.context {
        changed.push("the build context".to_owned());
    }
    changed
}

/// Whether `new` is `old` with `to` in some places where that has `from`.
fn differs_by_value(old: &str, new: &str, from: &str, to: &str) -> bool {
    /// A value may be part of other words: each place is one or the other. Of more places nobody knows.
    fn goes_on(old: &str, new: &str, from: &str, to: &str, places: u32) -> bool {
        let Some(at) = new.find(to).filter(|_| places > 0) else { return old == new };
        let (Some((before, old)), (same, new)) = (old.split_at_checked(at), new.split_at(at))
        else {
            return false;
        };
        let rest = &new[to.len()..];
        let with = |value| old.strip_prefix(value);
        let next =
            |old: Option<&str>| old.is_some_and(|old| goes_on(old, rest, from, to, places - 1));
        before == same && (next(with(from)) || next(with(to)))
    }
    goes_on(old, new, from, to, 16)
}

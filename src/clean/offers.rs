//! What a clean would free if it were asked for more, and what frees space where a disk is full.

use super::model::{Kind, Request};

/// What was not asked for, and what it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// An option, or another command instead of the one that was given.
    pub what: &'static str,
    /// Bytes that it frees beyond the plan.
    pub more_bytes: u64,
}

/// A command that frees space of the project, and what it frees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The command without the program's name.
    pub command: &'static str,
    /// Bytes.
    pub frees_bytes: u64,
}

/// What would go, too, the most first: `planned` are the bytes that `request` frees, `frees` tells those of others.
pub fn offers(request: &Request, planned: u64, frees: impl Fn(&Request) -> u64) -> Vec<Offer> {
    let is_limited = request.until.is_some() || request.cache_goal.is_some();
    let mut wider = Vec::new();
    if is_limited || request.only_old {
        wider.push(("clean --only cache", Request::cache()));
    } else {
        if !request.kinds.contains(&Kind::Cache) {
            let mut kinds = request.kinds.clone();
            kinds.insert(Kind::Cache);
            wider.push(("--cache", Request { kinds, ..request.clone() }));
        }
        if !request.stop {
            wider.push(("--stop", Request { stop: true, ..request.clone() }));
        }
        if !request.pulled_images {
            wider.push(("--all", Request { pulled_images: true, ..request.clone() }));
        }
    }
    let mut offers: Vec<Offer> = wider
        .into_iter()
        .map(|(what, request)| Offer { what, more_bytes: frees(&request).saturating_sub(planned) })
        .filter(|offer| offer.more_bytes > 0)
        .collect();
    offers.sort_by_key(|offer| std::cmp::Reverse(offer.more_bytes));
    offers
}

/// Commands that take nothing but time to make up for, the gentlest first.
pub fn remedies(frees: impl Fn(&Request) -> u64) -> Vec<Remedy> {
    let commands = [("clean --old", Request::old()), ("clean --only cache", Request::cache())];
    let mut remedies = freed(commands, frees);
    remedies.retain(|remedy| remedy.frees_bytes > 0);
    remedies
}

/// What `clean` frees, also where that is nothing: without options, and with those that narrow it.
pub fn choices(frees: impl Fn(&Request) -> u64) -> Vec<Remedy> {
    let commands = [
        ("clean", Request::things()),
        ("clean --old", Request::old()),
        ("clean --only cache", Request::cache()),
    ];
    freed(commands, frees)
}

fn freed<const N: usize>(
    commands: [(&'static str, Request); N],
    frees: impl Fn(&Request) -> u64,
) -> Vec<Remedy> {
    commands.map(|(command, request)| Remedy { command, frees_bytes: frees(&request) }).into()
}

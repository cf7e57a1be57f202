//! The rules, a file for each family. Each is a function from a case to findings, and says nothing where it is not
//! certain: a finding on a good file is worse than one that is missed.

mod apt;
mod base;
mod caches;
mod context;
mod cuda;
mod order;
mod python;
mod secrets;

use super::case::Case;
use super::model::Finding;

type Rule = fn(&Case<'_>) -> Vec<Finding>;
type ProjectRule = fn(&[Case<'_>]) -> Vec<Finding>;

/// Rules about one service.
pub(super) const OF_A_SERVICE: &[Rule] = &[
    order::code_before_requirements,
    order::changing_argument,
    order::heavy_with_light,
    caches::no_cache_mount,
    caches::cache_mount_unused,
    caches::cache_mount_emptied,
    apt::not_locked,
    apt::docker_clean,
    python::unpinned,
    python::two_interpreters,
    python::moved,
    python::no_bytecode,
    cuda::cuda_without_gpu,
    cuda::torch_index,
    context::in_context,
    context::not_nested,
    base::floating,
    secrets::in_arguments,
    secrets::in_urls,
];

/// Rules about services beside each other.
pub(super) const OF_A_PROJECT: &[ProjectRule] = &[base::not_shared];

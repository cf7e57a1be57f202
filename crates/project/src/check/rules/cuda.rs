//! PyTorch: gigabytes of CUDA where nobody has a GPU, and builds that an index does not have.

use crate::check::case::{Case, Words, finding, join};
use crate::check::install::{INDEXES, Install, name};
use crate::check::model::{Finding, Severity, Spot};
use crate::check::rules::order::origin;

/// Packages whose wheels come for CUDA or for CPUs.
const TORCH: [&str; 3] = ["torch", "torchvision", "torchaudio"];

/// Which build of PyTorch an index or a version names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Build {
    Cpu,
    Cuda(String),
    /// Another accelerator, or something that cannot be told.
    Other,
}

fn build_of(variant: &str) -> Build {
    let variant = variant.trim_end_matches('/');
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    match variant {
        "cpu" => Build::Cpu,
        _ if variant.strip_prefix("cu").is_some_and(is_number) => Build::Cuda(variant.to_owned()),
        _ => Build::Other,
    }
}

/// What an index says; `None` for one that is not known.
fn of_index(url: &str) -> Option<Build> {
    let (_, variant) = url.split_once("download.pytorch.org/whl/")?;
    Some(build_of(variant.split('/').next().unwrap_or_default()))
}

/// What an install says of indexes: a build, `None` where it says nothing.
fn of_install(case: &Case<'_>, index: usize, install: &Install<'_>) -> Option<Build> {
    let mut urls: Vec<String> =
        install.values(&INDEXES).into_iter().map(|url| case.syntax.expand(url)).collect();
    for variable in [
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
    ] {
        urls.extend(case.environment(index, variable));
    }
    let assigned = install.command.assignments.iter().map(|word| word.value.as_str());
    urls.extend(
        assigned.filter(|word| word.contains("INDEX")).map(|word| case.syntax.expand(word)),
    );
    let backend = install.values(&["--torch-backend"]).into_iter().map(str::to_owned);
    let backend = backend.chain(case.environment(index, "UV_TORCH_BACKEND")).next();
    if let Some(backend) = backend {
        return Some(build_of(&backend));
    }
    let known: Option<Build> = urls.iter().find_map(|url| of_index(url));
    known.or_else(|| (!urls.is_empty()).then_some(Build::Other))
}

/// A package of PyTorch that is asked for, and which build of it.
struct TorchRequest {
    file: Option<String>,
    span: std::ops::Range<usize>,
    line: usize,
    requirement: String,
    build: Option<Build>,
    index: usize,
}

/// Every package of PyTorch that installs name, in the Dockerfile or in a list.
fn asked(case: &Case<'_>) -> Vec<TorchRequest> {
    let mut all = Vec::new();
    for (index, _, installed) in case.installing() {
        for install in installed.iter().filter(|install| install.tool.is_pip()) {
            let said = of_install(case, index, install);
            for word in install.names() {
                let requirement = case.syntax.expand(&word.value);
                if TORCH.contains(&name(&requirement).0.as_str()) {
                    let build = local(&requirement).or_else(|| said.clone());
                    let (span, line) = (word.span.clone(), 0);
                    all.push(TorchRequest { file: None, span, line, requirement, build, index });
                }
            }
            let Some(contents) = &case.service.contents else { continue };
            for file in install.requirements() {
                let path = join(&case.directory(index), &case.syntax.expand(file));
                let path = origin(case, index, &path).trim_start_matches('/').to_owned();
                let Some(text) = contents.texts.get(&path) else { continue };
                all.extend(of_list(text, said.as_ref()).map(|(line, requirement, build)| {
                    TorchRequest {
                        file: Some(path.clone()),
                        span: 0..0,
                        line,
                        requirement,
                        build,
                        index,
                    }
                }));
            }
        }
    }
    all
}

/// The same of a requirements file: line, requirement, build.
fn of_list<'t>(
    text: &'t str,
    said: Option<&Build>,
) -> impl Iterator<Item = (usize, String, Option<Build>)> + 't {
    let index = text.lines().filter(|line| line.trim_start().starts_with("--")).find_map(|line| {
        let url = line.split_once(['=', ' ']).map(|(_, url)| url)?;
        of_index(url).or_else(|| line.contains("index").then_some(Build::Other))
    });
    let said = index.or_else(|| said.cloned());
    let lines = text.lines().enumerate();
    lines.filter_map(move |(at, line)| {
        let (requirement, marker) = line.split_once(';').unwrap_or((line, ""));
        let requirement = requirement.trim_end_matches('\\').trim();
        let is_elsewhere =
            marker.contains("darwin") && !marker.contains("!=") || marker.contains("win32");
        let is_torch = TORCH.contains(&name(requirement).0.as_str());
        let build = local(requirement).or_else(|| said.clone());
        (is_torch && !is_elsewhere && !line.starts_with(char::is_whitespace))
            .then(|| (at + 1, requirement.to_owned(), build))
    })
}

/// The build that a version names: `torch==2.3.0+cpu`.
fn local(requirement: &str) -> Option<Build> {
    let (_, version) = requirement.split_once("==")?;
    let (_, local) = version.split_once('+')?;
    Some(build_of(local.split([' ', ',', ';']).next().unwrap_or_default()))
}

fn wants_gpu(case: &Case<'_>) -> bool {
    case.service.runtime.wants_gpu
}

/// A base image that is made for GPUs, or platforms whose wheels have no CUDA.
fn is_meant(case: &Case<'_>) -> bool {
    let base = case.base(case.stage).to_lowercase();
    let is_arm = |platform: &String| platform.contains("arm");
    ["cuda", "rocm", "pytorch", "nvidia", "nvcr.io"].iter().any(|word| base.contains(word))
        || (!case.service.platforms.is_empty() && case.service.platforms.iter().all(is_arm))
}

/// CUDA in an image, and a service that asks for no GPU.
pub(super) fn cuda_without_gpu(case: &Case<'_>) -> Vec<Finding> {
    if wants_gpu(case) || is_meant(case) {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut files: Vec<String> = Vec::new();
    // What PyPI has for Linux is built for CUDA.
    let mut asked = asked(case);
    asked.retain(|it| matches!(it.build, None | Some(Build::Cuda(_))));
    let is_torch = |it: &TorchRequest| name(&it.requirement).0 == "torch";
    if asked.iter().any(is_torch) {
        asked.retain(is_torch);
    }
    for it in asked {
        if files.contains(it.file.as_ref().unwrap_or(&case.service.file)) {
            continue;
        }
        files.push(it.file.clone().unwrap_or_else(|| case.service.file.clone()));
        findings.push(of_asked(case, &it));
    }
    findings.extend(of_lock(case));
    findings
}

fn of_asked(case: &Case<'_>, it: &TorchRequest) -> Finding {
    let words = Words {
        message: format!(
            "{} comes with CUDA, gigabytes that a service without a GPU never uses, and no service asks for one",
            it.requirement
        ),
        change: match &it.file {
            Some(file) if file.ends_with(".lock") => {
                "lock for CPUs: `doc2md-docker lock --torch cpu`; or give the service a GPU".to_owned()
            }
            _ => "take it from https://download.pytorch.org/whl/cpu (`--index-url`, or `lock --torch cpu`); or give the \
                  service a GPU"
                .to_owned(),
        },
    };
    let mut finding = match (&it.file, &case.service.contents) {
        (Some(file), Some(contents)) => {
            let file = shown(&contents.directory, file);
            let spot = Spot { file, line: it.line, column: 1, end_line: it.line };
            finding("cuda-without-gpu", Severity::Warning, spot, &case.service.name, words)
        }
        _ => case.finding("cuda-without-gpu", Severity::Warning, it.span.clone(), words),
    };
    finding.cost = case.cost(&[it.index], true);
    finding
}

/// The file of a context as the user would name it.
pub(super) fn shown(directory: &str, path: &str) -> String {
    if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") }
}

/// uv's and Poetry's locks that a build reads, with packages of CUDA in them; uv's with their sizes.
fn of_lock(case: &Case<'_>) -> Option<Finding> {
    let contents = case.service.contents.as_ref()?;
    let is_read =
        |path: &&String| matches!(path.rsplit('/').next(), Some("uv.lock" | "poetry.lock"));
    let (index, _, _) = case
        .installing()
        .find(|(_, _, all)| all.iter().any(|it| it.reads_files && !it.tool.is_system()))?;
    let path = contents.texts.keys().find(is_read)?;
    let text = &contents.texts[path];
    if contents
        .texts
        .iter()
        .any(|(path, text)| path.ends_with("pyproject.toml") && text.contains("conflicts"))
    {
        return None;
    }
    let mut bytes = 0;
    let (mut name, mut torch, mut has_cuda) = ("", None, false);
    for (at, line) in text.lines().enumerate() {
        if let Some(value) = line.strip_prefix("name = \"") {
            name = value.trim_end_matches('"');
            if name == "torch" {
                torch.get_or_insert(at + 1);
            }
            has_cuda |= name.starts_with("nvidia-cu");
        }
        let is_cuda = name.starts_with("nvidia-") || name == "triton";
        let is_linux = line.contains("x86_64") && line.contains("linux");
        if is_cuda
            && is_linux
            && let Some((_, size)) = line.split_once("size = ")
        {
            let digits: String = size.chars().take_while(char::is_ascii_digit).collect();
            bytes += digits.parse::<u64>().unwrap_or_default();
        }
    }
    let line = torch.filter(|_| has_cuda)?;
    let spot = Spot { file: shown(&contents.directory, path), line, column: 1, end_line: line };
    let words = Words {
        message: "torch is locked with CUDA, gigabytes that a service without a GPU never uses, and no service asks for one"
            .to_owned(),
        change: "give torch an index of CPU builds in pyproject.toml (https://download.pytorch.org/whl/cpu), and lock \
                 again; or give the service a GPU"
            .to_owned(),
    };
    let mut finding =
        finding("cuda-without-gpu", Severity::Warning, spot, &case.service.name, words);
    finding.cost = case.cost(&[index], true);
    finding.cost.bytes = (bytes > 0).then_some(bytes);
    Some(finding)
}

/// A build of PyTorch that the index does not have, or that a service with a GPU cannot use.
pub(super) fn torch_index(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, _, installed) in case.installing() {
        for install in installed.iter().filter(|install| install.tool.is_pip()) {
            let said = of_install(case, index, install);
            for word in install.names() {
                let requirement = case.syntax.expand(&word.value);
                if !TORCH.contains(&name(&requirement).0.as_str()) {
                    continue;
                }
                let message = match (local(&requirement), &said) {
                    (Some(Build::Cpu | Build::Cuda(_)), None) => {
                        format!(
                            "PyPI has no {requirement}: builds with a `+` are on PyTorch's own index"
                        )
                    }
                    (
                        Some(wanted @ (Build::Cpu | Build::Cuda(_))),
                        Some(has @ (Build::Cpu | Build::Cuda(_))),
                    ) if wanted != *has => {
                        format!("the index of this step has other builds than {requirement}")
                    }
                    (None, Some(Build::Cpu)) if wants_gpu(case) => {
                        "the service asks for a GPU, and this index has builds for CPUs only"
                            .to_owned()
                    }
                    (Some(Build::Cpu), Some(_)) if wants_gpu(case) => {
                        format!("the service asks for a GPU, and {requirement} cannot use it")
                    }
                    _ => continue,
                };
                let change = "name the index of the build that is meant, such as https://download.pytorch.org/whl/cpu \
                              or .../whl/cu128"
                    .to_owned();
                let words = Words { message, change };
                findings.push(case.finding(
                    "torch-index",
                    Severity::Error,
                    word.span.clone(),
                    words,
                ));
                break;
            }
        }
    }
    findings
}

//! The build arguments a Dockerfile declares.

use std::collections::BTreeSet;

use super::locate::steps;

/// Arguments that count without an ARG: the engine's proxies, platforms and switches (BuildKit
/// `frontend/dockerfile/docs/reference.md`, "Predefined ARGs" and "BuildKit built-in build args").
const PREDEFINED: [&str; 18] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "SOURCE_DATE_EPOCH",
    "SANDBOX_HOSTNAME",
];

/// Whether an argument of this name counts in every Dockerfile.
pub fn is_predefined_arg(name: &str) -> bool {
    name.starts_with("BUILDKIT_")
        || PREDEFINED.contains(&name)
        || name.strip_suffix("_proxy").is_some_and(|_| is_predefined_arg(&name.to_uppercase()))
}

/// Names of the arguments that `source` declares; `None` where that cannot be told: another frontend
/// than docker's reads it, or it declares nothing because it cannot be parsed.
pub fn declared_args(source: &str) -> Option<BTreeSet<String>> {
    let directives = source.lines().map_while(|line| line.trim().strip_prefix('#'));
    let mut directives = directives.filter_map(|line| line.split_once('='));
    let syntax = directives.find(|(key, _)| key.trim().eq_ignore_ascii_case("syntax"));
    if syntax.is_some_and(|(_, image)| !image.contains("docker/dockerfile")) {
        return None;
    }
    let steps = steps(source);
    if steps.is_empty() {
        return None;
    }
    let declarations = steps.iter().filter_map(|step| {
        let text = step.text.get("ONBUILD ".len()..).filter(|_| step.keyword == "ONBUILD");
        let text = text.unwrap_or(&step.text);
        let (keyword, names) = text.split_once(' ')?;
        keyword.eq_ignore_ascii_case("ARG").then_some(names)
    });
    let names = declarations.flat_map(str::split_whitespace);
    Some(names.filter_map(|name| name.split('=').next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_declare_an_argument() {
        let source = "# check=skip=all\nARG A=1\nFROM x\nARG B C=\"2 3\"\nARG \\\n  D\narg e\nONBUILD ARG F=1\nRUN ARG G\n";
        let declared = declared_args(source).unwrap_or_default();
        for name in ["A", "B", "C", "D", "e", "F"] {
            assert!(declared.contains(name), "{name}: {declared:?}");
        }
        assert!(!declared.contains("G") && !declared.contains("E"), "{declared:?}");
    }

    #[test]
    fn what_another_frontend_declares_is_not_known() {
        assert_eq!(declared_args("# syntax=example/pack\nFROM x\n"), None);
        assert_eq!(declared_args(""), None);
        assert!(declared_args("# syntax = docker/dockerfile:1\nFROM x\n").is_some());
    }

    #[test]
    fn what_the_engine_knows_by_itself() {
        for name in ["https_proxy", "NO_PROXY", "BUILDKIT_SYNTAX", "TARGETARCH"] {
            assert!(is_predefined_arg(name), "{name}");
        }
        for name in ["BUILD_VERSION", "proxy", "_proxy", "targetarch"] {
            assert!(!is_predefined_arg(name), "{name}");
        }
    }
}

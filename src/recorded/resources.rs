//! What the steps of a build took of their machine, from the samples in its provenance. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::provenance::Sections;
use crate::history::Resources;

/// What steps used, by the digests of their vertexes, as one provenance has it; nothing where the engine took no samples.
pub fn resources(document: &[u8]) -> BTreeMap<String, Resources> {
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return BTreeMap::new() };
    let config = Sections::read(&document).config;
    let none = Vec::new();
    let definition = config["llbDefinition"].as_array().unwrap_or(&none);
    let used: BTreeMap<&str, Resources> = definition
        .iter()
        .filter_map(|entry| Some((entry["id"].as_str()?, of_samples(&entry["resourceUsage"])?)))
        .collect();
    let mapping = config["digestMapping"].as_object();
    let of_digest =
        |(digest, id): (&String, &Value)| Some((digest.clone(), *used.get(id.as_str()?)?));
    mapping.into_iter().flatten().filter_map(of_digest).collect()
}

/// All but the peak of memory are sums since the start of the step.
fn of_samples(usage: &Value) -> Option<Resources> {
    let samples = usage["samples"].as_array()?;
    let most =
        |pointer: &str| samples.iter().filter_map(|sample| sample.pointer(pointer)?.as_u64()).max();
    Some(Resources {
        cpu_seconds: most("/cpuStat/usageNanos")? as f64 / 1e9,
        peak_memory_bytes: most("/memoryStat/peak"),
        read_bytes: most("/ioStat/readBytes"),
        written_bytes: most("/ioStat/writeBytes"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Docker 28.5 writes it, without what is not read.
    fn provenance() -> Value {
        let sample = |nanos: u64, peak: u64, read: u64| {
            json!({
                "timestamp": "2026-11-28T21:16:55.302562426Z",
                "cpuStat": {"usageNanos": nanos, "userNanos": 1, "systemNanos": 2},
                "memoryStat": {"anon": 5, "peak": peak},
                "ioStat": {"readBytes": read, "writeBytes": 7},
                "pidsStat": {"current": 0}, "netStat": {}
            })
        };
        let samples = json!([sample(400_000_000, 90, 10), sample(825_372_000, 80, 53_248)]);
        let only_cpu = json!([{"cpuStat": {"usageNanos": 5}, "pidsStat": {}}]);
        json!({
            "llbDefinition": [
                {"id": "step0", "op": {}},
                {"id": "step1", "op": {}, "resourceUsage": {"samples": samples, "sysCPUStat": {}}},
                {"id": "step2", "op": {}, "resourceUsage": {"samples": only_cpu}},
                {"id": "step3", "op": {}, "resourceUsage": {}},
            ],
            "digestMapping": {"sha256:0": "step0", "sha256:1": "step1", "sha256:2": "step2", "sha256:3": "step3"}
        })
    }

    #[test]
    fn sums_are_those_of_the_last_sample_and_the_peak_the_largest() {
        let config = provenance();
        let v1 = json!({"buildDefinition": {"internalParameters": {"buildConfig": config}}});
        let statement = json!({"predicate": {"buildConfig": config}});
        for document in [json!({"buildConfig": config}), v1, statement] {
            let used = resources(document.to_string().as_bytes());
            let of_all = Resources {
                cpu_seconds: 0.825372,
                peak_memory_bytes: Some(90),
                read_bytes: Some(53_248),
                written_bytes: Some(7),
            };
            let of_cpu = Resources { cpu_seconds: 5e-9, ..Resources::default() };
            let both = [("sha256:1".to_owned(), of_all), ("sha256:2".to_owned(), of_cpu)];
            assert_eq!(used, both.into(), "{document}");
        }
    }

    #[test]
    fn what_has_another_form_has_no_resources() {
        for text in
            ["", "[]", "{}", r#"{"buildConfig": {"llbDefinition": {}, "digestMapping": []}}"#]
        {
            assert!(resources(text.as_bytes()).is_empty(), "{text}");
        }
    }
}

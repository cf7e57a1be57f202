//! Where each target starts: files of the repository, and small texts with everything that the parser knows.

use std::path::{Path, PathBuf};

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use prost::Message as _;

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The content of files below folders of the repository whose names end so, in the order of their names.
fn files(folders: &[&str], ends: &[&str]) -> Vec<Vec<u8>> {
    let mut open: Vec<PathBuf> =
        folders.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    found.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

pub(crate) fn compose() -> Vec<Vec<u8>> {
    files(&["examples", "tests/cli/compose"], &[".yaml", ".yml"])
}

pub(crate) fn env_file() -> Vec<Vec<u8>> {
    let mut seeds = files(&["tests/cli/compose"], &[".env"]);
    seeds.extend(texts(&[
        "A=1\nexport B = two # comment\nC: \"x ${A:-d} \\n $B\"\nD='$A'\n",
        "A0=x\nA1=${A0}${A0}${A0}${A0}\nA2=${A1}${A1}${A1}${A1}\nA3=${A2}${A2}${A2}${A2}\n",
        "A=\"two\nlines\"\nB\nC=${A:?needed}${D:+${A}}\n",
    ]));
    seeds
}

pub(crate) fn dockerfile() -> Vec<Vec<u8>> {
    let mut seeds = files(&["."].map(|_| "examples"), &["Dockerfile"]);
    seeds.extend(files(&["Dockerfile.api", "Dockerfile.worker"], &["api", "worker"]));
    seeds.extend(texts(&[
        "# syntax=docker/dockerfile:1\n# escape=`\nARG A=1\nFROM a:$A AS b\nENV B=$A$A C=${B:-x}\nCOPY --from=b --link [\"x\", \"/y\"]\n",
        "FROM a AS one\nRUN <<EOF cat\ntext\nEOF\nFROM one AS two\nCOPY --exclude=*.md <<A <<-B /x/\na\nA\n\tb\n\tB\nONBUILD RUN x\n",
        "FROM scratch\nRUN --mount=type=cache,id=a,target=/c,uid=1 --mount=type=bind,from=one,source=/x \\\n  # comment\n  make\nHEALTHCHECK NONE\n",
    ]));
    seeds
}

pub(crate) fn provenance() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"materials":[{"uri":"pkg:docker/doc2md/base@b%2Fx?platform=linux%2Famd64","digest":{"sha256":"4b5ca62bf3cc4826fc5e0bffae6fedcf8d247e8fc5ec81f900a2b3b8faac4045"}}],"buildConfig":{"llbDefinition":[{"id":"step0","op":{"Op":{"source":{"identifier":"docker-image://docker.io/doc2md/base:b/x","attrs":{"image.resolvemode":"local"}}},"platform":{"OS":"linux"}}},{"id":"step1","op":{"Op":{"source":{"identifier":"local://context","attrs":{"local.followpaths":"[]"}}}}},{"id":"step2","op":{"Op":{"file":{"actions":[{"secondaryInput":1,"output":-1,"Action":{"copy":{"src":"/f","dest":"/"}}}]}}},"inputs":["step0:0","step1:0"]},{"id":"step3","op":{"Op":{"exec":{"meta":{"args":["sh"],"env":["A=1"],"extraHosts":[{"Host":"h","IP":"1"}]},"mounts":[{"dest":"/"},{"input":1,"selector":"/f"},{"input":-1,"cacheOpt":{"ID":"c"}}]}}},"inputs":["step2:0","step1:0"]}],"digestMapping":{"sha256:a":"step3","sha256:b":"step2"}},"metadata":{"https://mobyproject.org/buildkit@v1#metadata":{"source":{"infos":[{"filename":"D","data":"RlJPTSB4Cg=="}]}}}}"#,
        r#"{"predicate":{"buildDefinition":{"internalParameters":{"buildConfig":{"llbDefinition":[{"id":"a","op":{"Op":{}}}],"digestMapping":{"d":"a"}}},"resolvedDependencies":[]},"runDetails":{"metadata":{"buildkit_metadata":{"source":{"infos":[]}}}}}}"#,
    ])
}

pub(crate) fn dockerignore() -> Vec<Vec<u8>> {
    let mut seeds = files(&["examples", "templates"], &["dockerignore"]);
    seeds.extend(texts(&[
        "# comment\n*.pyc\n**/node_modules\n!keep/**/x\n/a/b/../c\n",
        "**/*.tmp\n[a-z]*?.txt\n!\\#x\n**/**/a/**\n[^a-c]\\]\n",
        "*\n!src\nsrc/**/*.log\n",
    ]));
    seeds
}

pub(crate) fn docker_config() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"r":{"identitytoken":"t"},"s":{"username":"u","password":"p"}},"credsStore":"x","credHelpers":{"a":"b"},"currentContext":"default"}"#,
        r#"{"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"a,b"},"tcp://x:1":{"ftpProxy":"f"}},"HttpHeaders":{"A":"b"}}"#,
        r#"{"Name":"c","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@host:22/run/s","SkipTLSVerify":false}}}"#,
        r#"{"Key":"unix:///var/run/docker.sock","Name":"other","Global":true}"#,
    ])
}

pub(crate) fn disk_usage() -> Vec<Vec<u8>> {
    let mut seeds = files(&["crates/engine/src/engine/disk_usage/recorded"], &[".json"]);
    seeds.extend(texts(&[
        r#"{"LayersSize":10,"Images":[{"Id":"sha256:a","ParentId":"","RepoTags":["p-a:latest"],"RepoDigests":null,"Created":1,"Size":5,"SharedSize":2,"Labels":{"com.docker.compose.project":"p"},"Containers":1}],"Containers":[{"Id":"c","Names":["/p-a-1"],"Image":"p-a","ImageID":"sha256:a","Labels":{"com.docker.compose.project":"p","com.docker.compose.config-hash":"h"},"State":"running","SizeRw":3,"Mounts":[{"Type":"volume","Name":"v"}],"NetworkSettings":{"Networks":{"n":{"NetworkID":"i"}}}}],"Volumes":[{"Name":"v","Labels":{"com.docker.compose.volume":"v"},"UsageData":{"Size":-1,"RefCount":1},"CreatedAt":"2026-11-23T23:51:51Z"}],"BuildCache":[{"ID":"a","Parent":"","Type":"regular","Description":"mount / from exec /bin/sh -c x","InUse":false,"Shared":true,"Size":1,"CreatedAt":"2026-11-23T23:51:51.128178032Z","LastUsedAt":null,"UsageCount":2}]}"#,
        r#"{"ImageUsage":{"TotalSize":1,"Items":[{"Id":"sha256:a","RepoTags":null,"Size":1,"Manifests":[]}]},"BuildCacheUsage":{"Items":[{"ID":"a"," Parents":["b","c"],"Type":"exec.cachemount","Size":-1,"UsageCount":-1}]},"VolumeUsage":{},"ContainerUsage":null}"#,
    ]));
    seeds
}

pub(crate) fn history_entry() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"schema":"doc2md-docker/ledger/v1","id":"mwup9c2nhuqa","project":"p","project_directory":"/p","engine":{"id":"e","release":"28.5","store":"overlay2"},"started":"2026-11-23T22:08:00Z","seconds":1.5,"outcome":"succeeded","targets":[{"service":"a","name":"a","image":"p-a","outcome":"succeeded","started":"2026-11-23T22:08:00Z","finished":"2026-11-23T22:08:01Z","seconds":1.0,"steps":[{"digest":"sha256:1","name":"[2/2] RUN x","stage":"b","position":[2,2],"line":3,"instruction":"RUN x","result":"ran","intervals":[{"start":0.1,"end":0.5}],"seconds":1.0,"bytes":3,"inputs":["sha256:0"]}],"inputs":{"args":{"A":"1"},"dockerfile_digest":"sha256:2","bases":[{"reference":"x","digest":null}]}}]}"#,
    ])
}

pub(crate) fn status_trace() -> Vec<Vec<u8>> {
    files(&["tests/traces"], &["failure.jsonl", "cancel.jsonl", "warnings.jsonl"])
}

pub(crate) fn status_message() -> Vec<Vec<u8>> {
    let time =
        |seconds| Some(bollard_buildkit_proto::google::protobuf::Timestamp { seconds, nanos: 5 });
    let group = bollard_buildkit_proto::pb::ProgressGroup {
        id: "g".into(),
        name: "[1/2] COPY a b".into(),
        weak: true,
    };
    let vertex = pb::Vertex {
        digest: "sha256:1".into(),
        inputs: vec!["sha256:0".into(), "sha256:2".into()],
        name: "[linux/amd64 build 2/5] RUN make".into(),
        cached: true,
        started: time(1),
        completed: time(3),
        error: "process \"x\" did not complete successfully: exit code: 1".into(),
        progress_group: None,
    };
    let message = pb::StatusResponse {
        vertexes: vec![vertex.clone(), pb::Vertex { progress_group: Some(group), ..vertex }],
        statuses: vec![pb::VertexStatus {
            id: "extracting".into(),
            vertex: "sha256:1".into(),
            current: 1,
            total: 1 << 40,
            started: time(2),
            ..pb::VertexStatus::default()
        }],
        logs: vec![pb::VertexLog {
            vertex: "sha256:1".into(),
            stream: 2,
            msg: b"one\rtwo\nthree \xff \x1b[31mred".to_vec(),
            timestamp: time(2),
        }],
        warnings: vec![pb::VertexWarning {
            vertex: "sha256:1".into(),
            level: 1,
            short: b"a warning".to_vec(),
            detail: vec![b"more".to_vec()],
            ..pb::VertexWarning::default()
        }],
    };
    vec![message.encode_to_vec(), [message.encode_to_vec(), message.encode_to_vec()].concat()]
}

/// A message of an engine and, behind a NUL, the details of the call.
pub(crate) fn failure() -> Vec<Vec<u8>> {
    let any = |kind: &str, json: &str| bollard_buildkit_proto::google::protobuf::Any {
        type_url: format!("github.com/moby/buildkit/errdefs.{kind}+json"),
        value: json.as_bytes().to_vec(),
    };
    let details = rpc::Status {
        code: 2,
        message: "m".into(),
        details: vec![
            any("Vertex", r#"{"digest":"sha256:1"}"#),
            any(
                "Source",
                r#"{"info":{"filename":"Dockerfile","data":"RlJPTSB4ClJVTiBmYWxzZQo="},"ranges":[{"start":{"line":2,"character":0},"end":{"line":2}}]}"#,
            ),
        ],
    };
    let details = details.encode_to_vec();
    let messages = [
        "failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1",
        "executor failed running [/bin/sh -c false]: exit code: 1",
        "failed to compute cache key: failed to calculate checksum of ref x::y: \"/main.py\" not found: not found",
        "dockerfile parse error on line 3: unknown instruction: FORM (did you mean FROM?)",
        "python:3.99: failed to resolve source metadata for docker.io/library/python:3.99: docker.io/library/python:3.99: not found",
        "failed to solve: target stage \"prod\" could not be found",
        "rpc error: code = Unknown desc = failed to do request: Head \"https://r/v2/a/manifests/1\": dial tcp: lookup r: no such host",
        "header list size to send violates the maximum size (16777216 bytes) set by server",
        "failed to fetch remote https://u:p@h/r.git: git stderr: fatal: couldn't find remote ref x: exit status 128",
    ];
    messages.iter().map(|text| [text.as_bytes(), b"\0", details.as_slice()].concat()).collect()
}

pub(crate) fn requirements() -> Vec<Vec<u8>> {
    let mut seeds = files(&["examples"], &["requirements.in"]);
    seeds.extend(texts(&[
        "-r ../base.in\n--constraint=c.txt # why\n-r requirements.in\na>=1; python_version < '3.9'\n--extra-index-url https://u:p@h/simple\n",
        "-e .\nb[x,y] @ git+https://h/r@v1#egg=b\n-c https://h/c.txt\n--hash=sha256:0\nc==1 \\\n  --hash=sha256:1\n",
    ]));
    seeds
}

pub(crate) fn lock() -> Vec<Vec<u8>> {
    let mut seeds =
        files(&["examples"], &["requirements.lock", "requirements.heavy.lock", "uv.lock"]);
    seeds.extend(files(&["tests/engine/projects"], &["uv.lock"]));
    seeds.extend(texts(&[
        "lock-version = \"1.0\"\n[[packages]]\nname = \"a_b\"\nversion = \"1\"\nwheels = [{url = \"https://files.pythonhosted.org/a-1-py3-none-any.whl\", size = 12, hashes = {sha256 = \"0\"}}]\nsdist = {url = \"https://h/a.tar.gz\", size = 3}\n",
    ]));
    seeds
}

pub(crate) fn init() -> Vec<Vec<u8>> {
    files(&["tests/projects"], &[".txt"])
}

pub(crate) fn reference() -> Vec<Vec<u8>> {
    texts(&[
        "localhost:5000/team/app__x.y-z:V1_a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "docker.io/library/redis",
        "index.docker.io/a",
        "./layout:tag@sha256:00",
        "{{ name }}:1",
        "Host/App:",
    ])
}

pub(crate) fn layout() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":3,"annotations":{"org.opencontainers.image.ref.name":"latest","io.containerd.image.name":"docker.io/library/a:1"}},{"digest":"sha256:x"}]}"#,
    ])
}

pub(crate) fn redaction() -> Vec<Vec<u8>> {
    texts(&[
        "https://me:pw@pypi.example/simple ssh://git@host/x?token=abc&v=1#sig=q the-secret-value",
        "export PASSWORD='abcdef'\nTOKEN: \"xyz 1\"\nhttps://u:p@ss@host/a?X-Amz-Signature=ab;b=c",
        "the-secret\nthe-secret-value\r\x1b[0mshort short1 dGhlLXNlY3JldC12YWx1ZQ==",
    ])
}

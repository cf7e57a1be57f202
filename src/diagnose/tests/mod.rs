//! Texts as Engine 20.10.24, 26.1.5 and 28.5.2 sent them, provoked with Dockerfiles made to fail.
#![allow(clippy::unwrap_used)]

mod explain;

use super::*;

/// Kind, message and hint in one line each.
fn told(message: &str) -> String {
    let diagnosis = classify(message);
    let hint = diagnosis.hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{:?}: {}{hint}", diagnosis.kind, diagnosis.message)
}

/// Every wording must be told the same.
fn same(wordings: &[&str]) -> String {
    let first = told(wordings[0]);
    for other in wordings {
        assert_eq!(told(other), first, "{other}");
    }
    first
}

#[test]
fn a_command_that_fails() {
    insta::assert_snapshot!(same(&[
        "executor failed running [/bin/sh -c echo hello && exit 3]: exit code: 3",
        "process \"/bin/sh -c echo hello && exit 3\" did not complete successfully: exit code: 3",
        "failed to solve: process \"/bin/sh -c echo hello && exit 3\" did not complete successfully: exit code: 3",
    ]), @"Step: `echo hello && exit 3` ended with exit code 3");
    insta::assert_snapshot!(same(&[
        "executor failed running [nosuch x]: exit code: 1",
        "process \"nosuch x\" did not complete successfully: exit code: 1",
    ]), @"Step: `nosuch x` ended with exit code 1");
    insta::assert_snapshot!(
        told("process \"/bin/sh -c echo a\\nexit 4\\n\" did not complete successfully: exit code: 4"),
        @"Step: `echo a …` ended with exit code 4"
    );
    insta::assert_snapshot!(same(&[
        "executor failed running [/bin/sh -c true]: unable to find user nosuch: no matching entries in passwd file",
        "process \"/bin/sh -c true\" did not complete successfully: unable to find user nosuch: no matching entries in passwd file",
    ]), @"Step: cannot run `true`: unable to find user nosuch: no matching entries in passwd file");
    let killed = classify("process \"/bin/sh -c x\" did not complete successfully: exit code: 137");
    assert!(killed.hint.unwrap().contains("memory"));
    let absent = classify("executor failed running [/bin/sh -c x]: exit code: 127");
    assert!(absent.hint.unwrap().contains("not found"));
}

#[test]
fn a_kind_of_cache_that_this_buildkit_has_not() {
    insta::assert_snapshot!(same(&[
        "unknown cache exporter: \"s3\"",
        "failed to solve: unknown cache exporter: \"s3\"",
    ]), @r"
    Engine: the BuildKit of this build cannot write caches of type s3
    hint: docker engines have registry, local, inline and gha; BuildKit of a builder has s3 and azblob, too: docker buildx create --driver docker-container
    ");
    let read = unknown_cache("unknown cache importer: azblob");
    assert_eq!(read.unwrap(), "the BuildKit of this build cannot read caches of type azblob");
    assert_eq!(unknown_cache("r.example/c:t: not found"), None);
}

#[test]
fn a_command_that_mentions_other_troubles_is_still_a_command() {
    for command in [
        "docker login",
        "curl: EOF transport error",
        "target stage x could not be found",
        "no space left on device",
    ] {
        let message = format!(
            "process \"/bin/sh -c echo {command}\" did not complete successfully: exit code: 1"
        );
        assert_eq!(classify(&message).kind, FailureKind::Step, "{message}");
    }
}

#[test]
fn a_missing_copy_source() {
    let wordings = [
        "failed to compute cache key: \"/missing.txt\" not found: not found",
        "failed to compute cache key: failed to calculate checksum of ref b4dc59b5-9d9a-4c94-85d4-ea8ec46c28ea::rgjbbjjbvmev3hqgvbh0hwasa: \"/missing.txt\": not found",
        "failed to compute cache key: failed to calculate checksum of ref zhz3l8q9jrp6lr5wab9x82tnj::mpumxe6db3hif3fy29g3zqiln: \"/missing.txt\": not found",
    ];
    insta::assert_snapshot!(same(&wordings), @r"
    Context: `missing.txt` is not in the build context
    hint: paths of COPY and ADD are relative to the build context, and .dockerignore may exclude them
    ");
    for wording in wordings {
        assert_eq!(classify(wording).subject, Some(Subject::Path("missing.txt".into())));
    }
}

#[test]
fn a_missing_file_in_another_stage() {
    insta::assert_snapshot!(same(&[
        "lstat /var/tmp/d2m-dev/20.10/data/overlay2/c72bc9a5134acea8590e9ddf35f3079a7417e8b3c641dbd793e89d36e5247135/merged/nothere: no such file or directory",
        "lstat /var/tmp/d2m-dev/26.1/data/tmp/buildkit-mount4113136444/nothere: no such file or directory",
        "lstat /nothere: no such file or directory",
        "failed to walk /var/tmp/d2m-dev/20.10/data/tmp/buildkit-mount3790852835/nothere: lstat /var/tmp/d2m-dev/20.10/data/tmp/buildkit-mount3790852835/nothere: no such file or directory",
        "failed to calculate checksum of ref e3b4a606-246c-4450-80db-1c770aa17ceb::yh5zrmgkjsk40kbulblb2ciaf: failed to walk /var/tmp/d2m-dev/26.1/data/tmp/buildkit-mount2606119641/nothere: lstat /var/tmp/d2m-dev/26.1/data/tmp/buildkit-mount2606119641/nothere: no such file or directory",
        "failed to calculate checksum of ref 7973bad1-f23f-4cd2-8565-c22e40adbba2::rxscsngusv9ptc074ozagk8o4: lstat /var/tmp/d2m-dev/28.5/data/tmp/buildkit-mount516850733//nothere: not a directory",
    ]), @r"
    Context: `/nothere` is not where the step takes it from
    hint: the step that should make this file runs in the stage that it is taken from
    ");
}

#[test]
fn a_file_where_a_directory_has_to_be() {
    insta::assert_snapshot!(same(&[
        "mkdir /var/tmp/d2m-dev/26.1/data/overlay2/ta0o6t27n2uwovzi5ynhbtfjz/merged/f: not a directory",
        "mkdir /f: not a directory",
        "lstat /f: not a directory",
    ]), @"Step: the directory `/f` cannot be made: it, or one above it, is a file");
    insta::assert_snapshot!(same(&[
        "cannot copy to non-directory: /var/tmp/d2m-dev/28.5/data/overlay2/ni6ppaq072ry7hct7g6mq8617/merged/d",
        "cannot copy to non-directory: /var/tmp/d2m-dev/28.5-containerd/data/buildkit/containerd-overlayfs/cachemounts/buildkit241225166/d",
    ]), @"Step: `/d` is a file, over which no directory can be copied");
}

#[test]
fn no_dockerfile() {
    insta::assert_snapshot!(same(&[
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to read dockerfile: open /var/tmp/d2m-dev/20.10/data/tmp/buildkit-mount3996484295/None: no such file or directory",
        "failed to read dockerfile: open None: no such file or directory",
    ]), @r"
    Dockerfile: there is no Dockerfile at None
    hint: `build.dockerfile` is relative to the build context
    ");
}

#[test]
fn a_dockerfile_that_does_not_parse() {
    insta::assert_snapshot!(told(
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: unknown instruction: FORM"
    ), @"Dockerfile: the Dockerfile is invalid in line 3: unknown instruction: FORM");
    let diagnosis = classify(
        "dockerfile parse error on line 3: unknown instruction: FORM (did you mean FROM?)",
    );
    assert_eq!(diagnosis.subject, Some(Subject::Line(3, Some("FORM".into()))));
    for wording in [
        "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: Unknown flag: chwon",
        "dockerfile parse error on line 2: unknown flag: chwon (did you mean chown?)",
        "dockerfile parse error on line 2: unknown flag: --chwon (did you mean chown?)",
    ] {
        assert_eq!(
            classify(wording).subject,
            Some(Subject::Line(2, Some("chwon".into()))),
            "{wording}"
        );
    }
    for wording in [
        "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: the Dockerfile cannot be empty",
        "the Dockerfile cannot be empty",
        "no build stage in current context",
        "base name (${V}) should not be blank",
        "failed to parse stage name \"base::x\": invalid reference format",
        "circular dependency detected on stage: a",
        "ENV must have two arguments",
        "unsupported mount type \"cash\" (did you mean cache?)",
        "unterminated heredoc",
    ] {
        let diagnosis = classify(wording);
        assert_eq!(diagnosis.kind, FailureKind::Dockerfile, "{wording}");
        assert!(diagnosis.message.starts_with("the Dockerfile is invalid"), "{wording}");
    }
}

#[test]
fn an_unknown_stage() {
    insta::assert_snapshot!(same(&[
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: target stage nostage could not be found",
        "target stage \"nostage\" could not be found",
    ]), @"Dockerfile: the Dockerfile has no stage `nostage`");
}

#[test]
fn a_registry_that_cannot_be_reached() {
    insta::assert_snapshot!(told(
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head \"https://registry-1.docker.io/v2/library/nosuchimage/manifests/latest\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host"
    ), @r"
    Registry: registry-1.docker.io: the registry cannot be reached (no such host)
    hint: the engine fetches images: check the network and proxy of the engine's machine
    ");
    insta::assert_snapshot!(told(
        "nosuchimage:latest: failed to resolve source metadata for docker.io/library/nosuchimage:latest: failed to do request: Head \"https://registry-1.docker.io/v2/library/nosuchimage/manifests/latest\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host"
    ), @r"
    Registry: nosuchimage:latest: the registry cannot be reached (no such host)
    hint: the engine fetches images: check the network and proxy of the engine's machine
    ");
    insta::assert_snapshot!(told(
        "localhost:1/x: failed to resolve source metadata for localhost:1/x:latest: failed to do request: Head \"https://localhost:1/v2/x/manifests/latest\": dial tcp 127.0.0.1:1: connect: connection refused"
    ), @r"
    Registry: localhost:1/x: the registry cannot be reached (connection refused)
    hint: the engine fetches images: check the network and proxy of the engine's machine
    ");
    insta::assert_snapshot!(told(
        "127.0.0.1:15999/basic/x:1: failed to resolve source metadata for 127.0.0.1:15999/basic/x:1: failed to do request: Head \"https://127.0.0.1:15999/v2/basic/x/manifests/1\": tls: first record does not look like a TLS handshake"
    ), @r"
    Registry: 127.0.0.1:15999/basic/x:1: the registry speaks plain HTTP, not HTTPS
    hint: list it under insecure-registries in the configuration of the engine (daemon.json), or give it TLS
    ");
}

#[test]
fn a_registry_that_refuses() {
    insta::assert_snapshot!(told(
        "127.0.0.1:15998/basic/x:1: failed to resolve source metadata for 127.0.0.1:15998/basic/x:1: unexpected status from HEAD request to https://127.0.0.1:15998/v2/basic/x/manifests/1: 401 Unauthorized"
    ), @r"
    Registry: 127.0.0.1:15998/basic/x:1: the registry asks for a login
    hint: `docker login 127.0.0.1:15998`, and check the image's name: registries answer the same for images that do not exist
    ");
    insta::assert_snapshot!(told(
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: pulling from host 127.0.0.1:15999 failed with status code [manifests 1]: 401 Unauthorized"
    ), @r"
    Registry: 127.0.0.1:15999: the registry asks for a login
    hint: `docker login 127.0.0.1:15999`, and check the image's name: registries answer the same for images that do not exist
    ");
    let kinds = |status: &str| {
        told(&format!(
            "r.io/x:1: failed to resolve source metadata for r.io/x:1: unexpected status from HEAD request to https://r.io/v2/x/manifests/1: {status}"
        ))
    };
    assert!(kinds("403 Forbidden").contains("denies access"));
    assert!(kinds("429 Too Many Requests").contains("rate limit"));
    assert!(kinds("503 Service Unavailable").contains("failed to answer"));
    let token = "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to authorize: rpc error: code = Unknown desc = failed to fetch anonymous token: unexpected status from GET request to http://127.0.0.1:15999/token?scope=repository%3Aprivate%2Fx%3Apull&service=r: 401 Unauthorized";
    assert!(told(token).contains("asks for a login"), "{}", told(token));
    let denied = "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
    let hub = told(&format!(
        "nosuch:latest: failed to resolve source metadata for docker.io/library/nosuch:latest: {denied}"
    ));
    assert!(
        hub.contains("nosuch:latest: the registry asks for a login\nhint: `docker login`,"),
        "{hub}"
    );
}

#[test]
fn an_image_that_does_not_exist() {
    insta::assert_snapshot!(same(&[
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to create LLB definition: 127.0.0.1:15999/missing/x:1: not found",
        "127.0.0.1:15999/missing/x:1: failed to resolve source metadata for 127.0.0.1:15999/missing/x:1: 127.0.0.1:15999/missing/x:1: not found",
    ]), @r"
    Registry: 127.0.0.1:15999/missing/x:1: the registry has no such image or tag
    hint: check name and tag; a private image may need a login
    ");
}

#[test]
fn a_frontend_that_cannot_be_fetched() {
    let told = [
        "rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: failed to solve with frontend gateway.v0: failed to do request: Head \"https://registry-1.docker.io/v2/docker/dockerfile/manifests/1.7\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host",
        "failed to resolve source metadata for docker.io/docker/dockerfile:1.7: failed to do request: Head \"https://registry-1.docker.io/v2/docker/dockerfile/manifests/1.7\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host",
    ]
    .map(told);
    for told in told {
        assert!(
            told.starts_with("Registry: the `# syntax=` frontend cannot be fetched: "),
            "{told}"
        );
        assert!(told.contains("without the `# syntax=` line"), "{told}");
    }
}

#[test]
fn add_of_a_url() {
    for wording in [
        "failed to load cache key: invalid response status 404",
        "failed to load cache key: Get \"http://127.0.0.1:1/x.tgz\": dial tcp 127.0.0.1:1: connect: connection refused",
    ] {
        let told = told(wording);
        assert!(told.starts_with("Context: ADD cannot fetch a URL: "), "{told}");
    }
}

#[test]
fn secrets_and_ssh_that_were_not_given() {
    insta::assert_snapshot!(same(&["secret tok not found: not found", "secret tok: not found"]), @r"
    Step: a step requires secret `tok`, which was not given
    hint: list it under build.secrets of the service, or give --secret id=tok,src=FILE
    ");
    insta::assert_snapshot!(same(&[
        "rpc error: code = Unknown desc = unset ssh forward key default",
        "unset ssh forward key default",
        "no ssh agent or key was given for id `default`",
        "no SSH key \"\" forwarded from the client",
        "no SSH key \"default\" forwarded from the client",
    ]), @r"
    Step: a step requires ssh `default`, which was not given
    hint: list it under build.ssh of the service, or give --ssh default
    ");
}

#[test]
fn credential_helpers_keep_their_words() {
    let told = told(
        "failed to solve: rpc error: code = FailedPrecondition desc = credential helper `docker-credential-x` failed for registry r.io: no such program on PATH",
    );
    assert_eq!(
        told,
        "Registry: credential helper `docker-credential-x` failed for registry r.io: no such program on PATH"
    );
}

#[test]
fn troubles_of_the_engine() {
    assert_eq!(classify("failed to copy files: userspace copy failed: write /var/lib/docker/x: no space left on device").kind, FailureKind::DiskFull);
    for lost in [
        "error reading from server: EOF",
        "transport error",
        "rpc error: code = Unavailable desc = error reading from server: EOF",
    ] {
        assert_eq!(classify(lost).kind, FailureKind::EngineLost, "{lost}");
    }
    insta::assert_snapshot!(told("failed to load LLB: network.host is not allowed"), @r"
    Engine: a step needs network.host, which was not granted
    hint: list network.host under build.entitlements of the service; the engine must allow it too
    ");
    assert_eq!(told("something new"), "Engine: something new");
}

#[test]
fn what_something_else_on_the_engine_did_is_not_a_failure_of_a_step() {
    let said = "failed to prepare extraction snapshot \"extract-466-XY sha256:55\": parent snapshot sha256:d8 does not exist: not found";
    assert!(lost_a_race(said) && lost_a_race(&format!("failed to solve: {said} (x)")));
    let named = "image \"docker.io/library/shop-api:latest\": already exists";
    assert!(lost_a_race(named) && lost_a_race(&format!("failed to solve: {named}")));
    for other in [
        "",
        "failed to compute cache key: \"/main.py\" not found: not found",
        "mkdir /data/image: already exists",
    ] {
        assert!(!lost_a_race(other));
    }
}

#[test]
fn what_this_program_says_itself_is_recognised() {
    let message = format!("{} of 16 MiB, which ended the connection", crate::buildkit::OVER_LIMIT);
    assert!(classify(&message).hint.unwrap().contains("make the Dockerfile smaller"));
}

#[test]
fn an_engine_without_named_contexts_is_named() {
    insta::assert_snapshot!(told(
        "failed to solve: unsupported frontend capability moby.buildkit.frontend.contexts"
    ), @r"
    Engine: this engine does not know additional_contexts
    hint: use Docker 23 or newer, or name a newer frontend in the first line of the Dockerfile: # syntax=docker/dockerfile:1
    ");
}

#[test]
fn a_git_context_that_cannot_be_fetched() {
    insta::assert_snapshot!(same(&[
        "failed to solve with frontend dockerfile.v0: failed to read dockerfile: failed to load cache key: failed to fetch remote https://host:1/x.git: exit status 128",
    ]), @r"
    Context: the engine cannot fetch https://host:1/x.git
    hint: the engine's machine fetches it: check the URL, its access and the network
    ");
    insta::assert_snapshot!(same(&[
        "failed to read dockerfile: failed to load cache key: error fetching default branch for repository https://host:1/x.git: git error: exit status 128\nstderr:\nfatal: unable to access 'https://host:1/x.git/': Couldn't connect to server\n",
        "failed to read dockerfile: failed to load cache key: error fetching default branch for repository https://host:1/x.git: git stderr:\nfatal: unable to access 'https://host:1/x.git/': Couldn't connect to server\n: exit status 128",
    ]), @r"
    Context: the engine cannot fetch https://host:1/x.git: unable to access 'https://host:1/x.git/': Couldn't connect to server
    hint: the engine's machine fetches it: check the URL, its access and the network
    ");
}

#[test]
fn a_git_context_without_what_is_asked_of_it() {
    let reading = "failed to solve with frontend dockerfile.v0: failed to read dockerfile: failed to load cache key: ";
    let said = |rest: &str| told(&format!("{reading}{rest}"));
    let all = [
        said("repository does not contain ref nosuch, output: \"\""),
        told(
            "failed to read dockerfile: invalid subdir /nosub: failed to lstat \"nosub\": statat nosub: no such file or directory",
        ),
        said("subdir not supported yet"),
        said("no SSH key \"default\" forwarded from the client"),
        said("rpc error: code = Unimplemented desc ="),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    Context: `context:` names `nosuch`, which the git repository does not have
    hint: a branch, a tag or a commit stands behind the `#`
    Context: `context:` names the directory `/nosub`, which the git repository does not have
    hint: it stands behind the `:` of the part behind the `#`
    Context: `context:` names a directory of a git repository, which this engine does not take
    hint: use Docker 23 or newer, or BuildKit 0.10
    Context: `context:` is fetched over ssh, for which no agent or key was given
    hint: list it under build.ssh of the service, or give --ssh default
    Context: `context:` is fetched over ssh, for which no agent or key was given
    hint: list it under build.ssh of the service, or give --ssh default
    ");
}

#[test]
fn an_ignore_file_is_not_called_the_dockerfile() {
    for (wording, pattern) in [
        ("invalid exclude patterns: syntax error in pattern \"a[\"", " `a[`"),
        ("illegal exclusion pattern: \"!\"", " `!`"),
        ("syntax error in pattern", ""),
    ] {
        let message = format!(".dockerignore has a pattern{pattern} that cannot be read");
        assert_eq!(told(wording), format!("Context: {message}"));
    }
}

#[test]
fn a_name_that_cannot_be_looked_up_needs_no_login() {
    for why in ["no such host", "Temporary failure in name resolution", "server misbehaving"] {
        let said = told(&format!(
            "failed to push h.x/a:1: Get \"https://h.x/v2/\": dial tcp: lookup h.x: {why}"
        ));
        assert!(said.contains("cannot be reached") && !said.contains("login"), "{said}");
    }
}

#[test]
fn digits_of_a_digest_are_no_status() {
    insta::assert_snapshot!(
        told("failed to push h:1/a: unexpected status from HEAD request to http://h:1/v2/a/blobs/sha256:0429f: 401 Unauthorized"),
        @r"
    Registry: h:1/a: the registry asks for a login
    hint: `docker login h:1`, and check the image's name: registries answer the same for images that do not exist
    ");
}

#[test]
fn checks_that_the_frontend_does_not_have() {
    insta::assert_snapshot!(told("unsupported request frontend.lint"), @r"
    Engine: this engine's Dockerfile frontend has no checks
    hint: use Docker 27.1 or newer, or name a newer frontend in the first line of the Dockerfile: # syntax=docker/dockerfile:1
    ");
}

#[test]
fn limits_of_the_engine_are_named() {
    insta::assert_snapshot!(
        told("failed to solve: header list size to send violates the maximum size (16777216 bytes) set by server"),
        @r"
    Context: the patterns of .dockerignore and the paths of COPY and ADD are more than the 16777216 bytes with which the engine can ask for files
    hint: name directories and wider patterns rather than single files
    ");
    insta::assert_snapshot!(same(&[
        "grpc: received message larger than max (5243256 vs. 4194304)",
        "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5243256 vs. 4194304)",
    ]), @r"
    Engine: the engine takes messages of 4194304 bytes, and what this build sends has 5243256
    hint: shorten what is long among build arguments and labels, or put it into a file of the context
    ");
    insta::assert_snapshot!(
        told("Error, decoded message length too large: found 20000000 bytes, the limit is: 16777216 bytes"),
        @"Engine: the engine's answer has 20000000 bytes, and 16777216 are taken"
    );
}

#[test]
fn a_full_disk_is_told_in_whatever_words_of_the_engine() {
    for message in [
        "failed to copy files: userspace copy failed: write /var/lib/docker/x: no space left on device",
        "failed to fetch remote https://h/r.git: git stderr:\nfatal: write error: No space left on device",
        "process \"/bin/sh -c make\" did not complete successfully: mkdir /run/x: no space left on device",
        "executor failed running [/bin/sh -c make]: mkdir /run/x: no space left on device",
        "failed to extract layer: write /x: disk quota exceeded",
    ] {
        let diagnosis = classify(message);
        assert_eq!(diagnosis.kind, FailureKind::DiskFull, "{message}");
        assert_eq!(diagnosis.hint.as_deref(), Some(FREE_SPACE));
    }
    let ours = "error from receiver: cannot write to cache: No space left on device (os error 28)";
    assert_ne!(classify(ours).kind, FailureKind::DiskFull);
    assert!(!says_full("ENOSPC: System limit for number of file watchers reached"));
}

#[test]
fn a_record_that_the_engine_has_lost_is_named_with_what_removes_it() {
    let message = "failed to solve: failed to commit mi48gomj to skobdtxj during finalize: failed to stat active key during \
                   commit: snapshot mi48gomj does not exist: not found";
    let diagnosis = classify(message);
    assert_eq!(diagnosis.kind, FailureKind::Engine);
    assert!(diagnosis.message.ends_with("(record mi48gomj)"), "{}", diagnosis.message);
    let remedy = "docker buildx prune --all --force --filter id=mi48gomj";
    assert!(diagnosis.hint.unwrap().ends_with(remedy));
}

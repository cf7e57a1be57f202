//! Forwarding with OpenSSH's own programs at both ends of our relay.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::process::Command;

use super::*;

type Client = SshClient<SshServer<AgentStore>>;

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
}

fn store(id: &str, source: AgentSource) -> AgentStore {
    let mut store = AgentStore::new(environment());
    store.insert(id, source).unwrap();
    store
}

fn client(store: AgentStore) -> Client {
    SshClient::new(store.into_service())
}

async fn key(folder: &Path, name: &str, passphrase: &str) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"])
        .arg(&path)
        .status()
        .await
        .unwrap();
    assert!(status.success());
    path
}

/// Does what the engine does for a step: listens on a socket and turns a connection into a stream
/// of `ForwardAgent`.
async fn mount(mut client: Client, id: &'static str, folder: &Path) -> PathBuf {
    let path = folder.join("step.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (mut from_step, mut to_step) = connection.into_split();
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                // Small pieces: frames must be put together again.
                let mut buffer = [0; 7];
                while let Ok(read @ 1..) = from_step.read(&mut buffer).await {
                    sender.send(BytesMessage { data: buffer[..read].to_vec() }).await.unwrap();
                }
            });
            let mut request = Request::new(ReceiverStream::new(receiver));
            request.metadata_mut().insert(ID_METADATA, id.parse().unwrap());
            let mut answers = client.forward_agent(request).await.unwrap().into_inner();
            tokio::spawn(async move {
                while let Some(Ok(message)) = answers.next().await {
                    to_step.write_all(&message.data).await.unwrap();
                }
            });
        }
    });
    path
}

async fn run(program: &str, arguments: &[&str], agent: &Path) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .env("SSH_AUTH_SOCK", agent)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn keys_can_be_listed_and_used_but_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let one = key(folder.path(), "one", "").await;
    let two = key(folder.path(), "two", "").await;
    let source = AgentSource::parse("git", one.to_str().unwrap(), None).unwrap();
    assert_eq!(source, AgentSource::Keys(vec![one.clone()]));
    let agent = mount(client(store("git", source)), "git", folder.path()).await;

    let (listed, keys) = run("ssh-add", &["-l"], &agent).await;
    assert!(listed && keys.contains("one (ED25519)"), "{keys}");

    let data = folder.path().join("data");
    fs_err::write(&data, "text").unwrap();
    let public = one.with_extension("pub");
    let sign = ["-Y", "sign", "-n", "file", "-f", public.to_str().unwrap(), data.to_str().unwrap()];
    assert!(run("ssh-keygen", &sign, &agent).await.0);
    assert!(fs_err::read_to_string(data.with_extension("sig")).unwrap().contains("SSH SIGNATURE"));

    assert!(!run("ssh-add", &["-D"], &agent).await.0, "a step removed the user's keys");
    assert!(!run("ssh-add", &[two.to_str().unwrap()], &agent).await.0, "a step added a key");
    assert!(run("ssh-add", &["-l"], &agent).await.1.contains("one (ED25519)"));
}

#[tokio::test]
async fn the_agent_of_the_user_is_forwarded() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [key(folder.path(), "users", "").await];
    let users = KeyAgent::start(&keys, &environment()).await.unwrap();
    let socket = users.socket();
    let source = AgentSource::parse("", "", socket.to_str()).unwrap();
    assert_eq!(source, AgentSource::Socket(socket));
    let agent = mount(client(store("", source)), "default", folder.path()).await;
    assert!(run("ssh-add", &["-l"], &agent).await.1.contains("users (ED25519)"));
}

#[tokio::test]
async fn the_agent_for_keys_ends_with_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [key(folder.path(), "k", "").await];
    let agent = KeyAgent::start(&keys, &environment()).await.unwrap();
    let socket = agent.socket();
    assert!(agent::connect(&socket).await.is_ok());
    drop(agent);
    assert!(agent::connect(&socket).await.is_err());
}

#[tokio::test]
async fn a_key_with_a_passphrase_is_named_and_asks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let locked = key(folder.path(), "locked", "hunter2").await;
    let mut client = client(store("", AgentSource::Keys(vec![locked.clone()])));
    let error = client.check_agent(CheckAgentRequest::default()).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "cannot load key {} for ssh: it needs a passphrase; load it with ssh-add and forward the agent instead",
            locked.display()
        )
    );
}

#[tokio::test]
async fn a_file_that_is_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    fs_err::write(&file, "not a key\n").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs_err::set_permissions(&file, mode(0o600)).unwrap();
    let mut client = client(store("", AgentSource::Keys(vec![file.clone()])));
    let error = client.check_agent(CheckAgentRequest::default()).await.unwrap_err();
    assert!(error.message().contains("notes for ssh: Error loading key"), "{error}");

    // OpenSSH refuses keys others can read, under a banner that has no place in one line.
    fs_err::set_permissions(&file, mode(0o644)).unwrap();
    let error = client.check_agent(CheckAgentRequest::default()).await.unwrap_err();
    assert!(error.message().contains("notes for ssh: Permissions 0644 for"), "{error}");
}

#[tokio::test]
async fn an_id_nobody_gave_is_unknown() {
    let mut client = client(AgentStore::default());
    let request = CheckAgentRequest { id: "git".into() };
    let error = client.check_agent(request).await.unwrap_err();
    assert_eq!(error.message(), "no ssh agent or key was given for id `git`");
}

#[test]
fn what_cannot_be_forwarded_is_told_before_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let file = folder.path().join("key");
    fs_err::write(&file, "").unwrap();
    let parse =
        |paths: &str| AgentSource::parse("git", paths, None).map_err(|error| error.to_string());
    assert_eq!(
        parse("").unwrap_err(),
        "ssh `git` names no agent or key, and SSH_AUTH_SOCK is not set"
    );
    let missing = folder.path().join("missing").display().to_string();
    assert!(
        parse(&missing)
            .unwrap_err()
            .starts_with(&format!("cannot use {missing} for ssh `git`: No such"))
    );
    let both = format!("{},{}", socket.display(), file.display());
    assert!(parse(&both).unwrap_err().contains("mixes an agent's socket"), "{both}");
    assert_eq!(parse(socket.to_str().unwrap()).unwrap(), AgentSource::Socket(socket.clone()));

    let mut store = AgentStore::default();
    store.insert("", AgentSource::Socket(socket.clone())).unwrap();
    store.insert("default", AgentSource::Socket(socket)).unwrap();
    let other = store.insert("default", AgentSource::Keys(vec![file])).unwrap_err();
    assert_eq!(other.to_string(), "ssh `default` has two different sources in one session");
}

#[test]
fn frames_are_cut_where_their_length_says() {
    let mut frames = agent::Frames::default();
    frames.push(&[0, 0, 0, 1, 11, 0, 0]);
    assert_eq!(frames.next().unwrap(), Some(vec![0, 0, 0, 1, 11]));
    assert_eq!(frames.next().unwrap(), None);
    frames.push(&[0, 2, 13]);
    assert_eq!(frames.next().unwrap(), None);
    frames.push(&[7]);
    assert_eq!(frames.next().unwrap(), Some(vec![0, 0, 0, 2, 13, 7]));
    frames.push(&[255, 255, 255, 255]);
    assert!(frames.next().is_err());
}

//! Company networks: a package index behind a certificate authority of its own that wants a login.

use std::path::PathBuf;

use crate::support::{
    Authority, Engine, PYTHON, Project, engine, eventually, on_every_engine, text,
};

/// The certificates of an image.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Serves one package, over TLS and after a login, where /tls has a certificate; else waits for it.
const SERVER: &str = r##"
import base64, hashlib, http.server, os, ssl, time, zipfile
os.makedirs("/www/simple/private-thing")
os.chdir("/www")
file, info = "private_thing-1-py3-none-any.whl", "private_thing-1.dist-info"
with zipfile.ZipFile(f"simple/private-thing/{file}", "w") as wheel:
    wheel.writestr("private_thing.py", "from http.server import test\n")
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: private-thing\nVersion: 1\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "")
digest = hashlib.sha256(open(f"simple/private-thing/{file}", "rb").read()).hexdigest()
open("simple/private-thing/index.html", "w").write(f'<a href="{file}#sha256={digest}">{file}</a>')
while not os.path.exists("/tls/ready"):
    time.sleep(0.05)
login = "Basic " + base64.b64encode(b"me:the-secret-token").decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == login:
            return super().do_GET()
        self.send_response(401, "Unauthorized")
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/cert.pem", "/tls/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print("serving", flush=True)
server.serve_forever()
"##;

/// A container that serves the index, until it is dropped.
struct Index<'a> {
    engine: &'a Engine,
    name: String,
    address: String,
    /// The authority's certificate.
    authority: String,
}

impl<'a> Index<'a> {
    fn start(engine: &'a Engine, project: &Project) -> Self {
        let name = format!("{}-index", project.name());
        let run = ["run", "--detach", "--name", &name];
        engine.docker_ok(&[&run[..], &[PYTHON, "python3", "-c", SERVER]].concat());
        let format = "--format={{.NetworkSettings.Networks.bridge.IPAddress}}";
        let address = engine.docker_ok(&["inspect", format, &name]);

        let authority = Authority::new();
        let (certificate, key) = authority.issue(&address);
        let tls = project.home().join("tls");
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("cert.pem"), certificate).unwrap();
        std::fs::write(tls.join("key.pem"), key).unwrap();
        let to = format!("{name}:/tls");
        engine.docker_ok(&["cp", tls.to_str().unwrap(), &to]);
        engine.docker_ok(&["exec", &name, "touch", "/tls/ready"]);
        eventually("the index serves", || {
            engine.docker_ok(&["logs", &name]).contains("serving").then_some(())
        });
        Self { engine, name, address, authority: authority.pem() }
    }

    /// The certificates of the machine, with that of the network.
    fn bundle(&self, project: &Project) -> PathBuf {
        let file = project.home().join("bundle.pem");
        let machine = self.engine.file_of(PYTHON, BUNDLE);
        std::fs::write(&file, format!("{machine}\n{}", self.authority)).unwrap();
        file
    }

    /// A file with the login.
    fn netrc(&self, project: &Project) -> PathBuf {
        let file = project.home().join("netrc");
        let login = format!("machine {} login me password the-secret-token\n", self.address);
        std::fs::write(&file, login).unwrap();
        file
    }
}

impl Drop for Index<'_> {
    fn drop(&mut self) {
        drop(self.engine.docker(&["rm", "--force", "--volumes", &self.name]).output());
    }
}

#[test]
fn certificates_and_logins_are_secrets_and_their_lack_gets_a_hint() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let index = Index::start(engine, &project);
        project.write("worker.py", "import private_thing\n\n\ndef main():\n    while True:\n        private_thing.work()\n\n\nif __name__ == '__main__':\n    main()\n").write(
            "requirements.txt",
            format!("--index-url https://{}/simple\nprivate-thing\n", index.address),
        );
        project.run(&["init"]).success();
        let base = format!("BASE_IMAGE={PYTHON}");
        let build = |more: &[&str]| {
            let args = [&["build", "--build-arg", &base], more].concat();
            let output = project.command(&args).output().unwrap();
            (output.status.success(), text(&output))
        };
        let (fine, told) = build(&[]);
        assert!(!fine && told.contains("--secret id=ca,src="), "{}: {told}", engine.name);

        let bundle = index.bundle(&project);
        let ca = format!("id=ca,src={}", bundle.display());
        let (fine, told) = build(&["--secret", &ca]);
        assert!(!fine && told.contains("--secret id=netrc,src="), "{}: {told}", engine.name);

        let netrc = index.netrc(&project);
        let netrc = format!("id=netrc,src={}", netrc.display());
        let (fine, told) = build(&["--secret", &ca, "--secret", &netrc]);
        assert!(fine && !told.contains("the-secret-token"), "{}: {told}", engine.name);
        let image = format!("{}-worker", project.name());
        let inside = [
            "sh",
            "-c",
            "grep -rl the-secret-token / --include=.netrc --include=ca 2>/dev/null; python -c 'import private_thing'",
        ];
        assert_eq!(engine.said_in(&["--user=0"], &image, &inside), "", "{}", engine.name);
    });
}

#[test]
fn a_step_that_reaches_nobody_gets_a_hint() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let fetch = "python3 -c 'import urllib.request as r; r.urlopen(\"http://nobody.invalid\")'";
        // A proxy that wants a login, in the step itself.
        let server = "import socket; s = socket.create_server((\"\", 3128)); c = s.accept()[0]; c.recv(9999); \
                      c.sendall(b\"HTTP/1.1 407 Proxy Authentication Required\\r\\n\\r\\n\")";
        let proxied = "https_proxy=http://127.0.0.1:3128 python3 -c 'import urllib.request as r; r.urlopen(\"https://nobody.invalid\")'";
        for (step, hint) in [
            (fetch.to_owned(), "doc2md-docker doctor"),
            (
                format!("python3 -c '{server}' & sleep 1; {proxied}"),
                "user and password stand before the host",
            ),
        ] {
            project
                .write("compose.yaml", "services: {app: {build: {context: ., network: none}}}\n")
                .write("Dockerfile", format!("FROM {PYTHON}\nRUN {step}\n"));
            let output = project.command(&["build"]).output().unwrap();
            assert!(text(&output).contains(hint), "{}: {}", engine.name, text(&output));
        }
    });
}

#[test]
fn a_lock_has_the_certificates_of_the_project() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    let index = Index::start(&engine, &project);
    let (bundle, netrc) = (index.bundle(&project), index.netrc(&project));
    project
        .write(
            "compose.yaml",
            format!(
                "services: {{app: {{build: {{context: ., args: {{BASE_IMAGE: {PYTHON}}}, secrets: [ca, netrc]}}}}}}\n\
                 secrets: {{ca: {{file: {}}}, netrc: {{file: {}}}}}\n",
                bundle.display(),
                netrc.display()
            ),
        )
        .write(
            "requirements.in",
            format!("--extra-index-url https://{}/simple\nprivate-thing\n", index.address),
        );
    project.run(&["lock"]).success();
    let lock = std::fs::read_to_string(project.dir().join("requirements.lock")).unwrap();
    assert!(lock.contains("\nprivate-thing==1 ") && !lock.contains("token"), "{lock}");
}

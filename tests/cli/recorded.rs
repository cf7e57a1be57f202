//! Builds that only an engine can know, where none can be asked; engines are asked in tests/engine/recorded.rs.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use tempfile::TempDir;

#[test]
fn an_engine_is_asked_for_what_only_it_can_know() {
    let home = TempDir::with_prefix("d2m-recorded-").unwrap();
    let said = |args: &[&str], code: i32| {
        let mut command = Command::cargo_bin("doc2md-docker").unwrap();
        let socket = format!("unix://{}/none.sock", home.path().display());
        command.current_dir(home.path()).env_clear();
        command.env("HOME", home.path()).env("DOCKER_HOST", socket).args(args);
        let output = command.assert().code(code).get_output().clone();
        assert!(output.stdout.is_empty(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let refused = said(&["history", "ls", "--all"], 2);
    assert!(refused.contains("--engine"), "{refused}");
    let unreachable = said(&["history", "ls", "--engine", "-p", "shop"], 3);
    assert!(unreachable.contains("none.sock"), "{unreachable}");
    // What can be no id of this program.
    let build = "pgx9xg0mz1sq34dxf3raaw8p1";
    for spec in [build.to_owned(), format!("default/default/{build}")] {
        let unreachable = said(&["why", "-p", "shop", "--build", &spec], 3);
        assert!(unreachable.contains("none.sock"), "{unreachable}");
    }
    for spec in ["zzzz", "latest~2", "../../etc", "no such"] {
        for command in [&["why", "--build"][..], &["history", "show"], &["history", "logs"]] {
            let args = [command, &[spec, "-p", "shop"]].concat();
            let unknown = said(&args, 2);
            assert!(unknown.contains("no builds of this project are remembered"), "{unknown}");
        }
    }
    // Whose builds are meant is asked before the engine is.
    let unnamed = said(&["history", "ls", "--engine"], 5);
    assert!(unnamed.contains("-p NAME"), "{unnamed}");
}

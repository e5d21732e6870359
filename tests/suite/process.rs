//! The program as its operator meets it: flags, configuration, start and restart.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::dialect::Dialect::Pychat;
use crate::support::node::{Node, Plan, gateway};
use crate::support::{eventually, process};

struct Outcome {
    success: bool,
    stdout: String,
    stderr: String,
}

/// Runs to the end; a program that goes on instead of refusing fails the test.
fn run(command: &mut Command) -> Outcome {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    let mut child = process::started("the gateway", command.spawn());
    let success = process::exit_of(&mut child, &format!("{command:?}")).success();
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    Outcome { success, stdout: read(&stdout), stderr: read(&stderr) }
}

/// Runs what has to fail, and gives what it says about that.
fn refusal(command: &mut Command) -> String {
    let outcome = run(command);
    assert!(!outcome.success, "{command:?} was accepted: {}", outcome.stderr);
    outcome.stderr
}

fn check(file: &Path) -> Outcome {
    run(gateway().args(["config", "check", "--config"]).arg(file))
}

#[test]
fn the_version_is_the_packages() {
    let outcome = run(gateway().arg("--version"));
    assert!(outcome.success, "{}", outcome.stderr);
    assert_eq!(outcome.stdout.trim(), concat!("crosstalk ", env!("CARGO_PKG_VERSION")));
}

/// Cargo gives the programs it starts what the build script has set: a name like a setting's would be refused by the very
/// first command a newcomer types.
#[test]
fn cargo_run_starts_it() {
    assert!(
        std::env::var_os("WEB_PAGE_HASH").is_some(),
        "cargo passes the build script's variables on to this test, too"
    );
    let mut inheriting = Command::new(env!("CARGO_BIN_EXE_crosstalk"));
    let outcome = run(inheriting.args(["config", "check"]));
    assert!(outcome.success, "{}", outcome.stderr);
}

#[test]
fn an_unknown_flag_is_refused_by_name() {
    let said = refusal(gateway().args(["serve", "--no-such-flag"]));
    assert!(said.contains("--no-such-flag"), "{said}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one_from_wherever_it_comes() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("crosstalk.toml");
    std::fs::write(&file, "[limits]\ntext_byte = 5\n").unwrap();
    let said = [
        refusal(gateway().args(["serve", "--data-dir", "none", "--set", "limits.text_byte=5"])),
        refusal(gateway().args(["serve", "--data-dir", "none"]).env("CROSSTALK_LIMITS_TEXT_BYTE", "5")),
        refusal(gateway().args(["serve", "--data-dir", "none", "--config"]).arg(&file)),
    ];
    for said in said {
        assert!(said.to_lowercase().contains("text_bytes"), "the nearest key is not named: {said}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_key() {
    for setting in ["limits.text_bytes=many", "listen.http=nowhere", "cluster.lease_ms=-1"] {
        let said = refusal(gateway().args(["serve", "--data-dir", "none", "--set", setting]));
        let (key, _) = setting.split_once('=').unwrap();
        assert!(said.contains(key), "{setting}: {said}");
    }
}

#[test]
fn the_default_configuration_passes_the_check_and_a_wrong_one_does_not() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("crosstalk.toml");
    let default = run(gateway().args(["config", "default"]));
    assert!(default.success && default.stdout.contains("text_bytes"), "{}{}", default.stdout, default.stderr);
    std::fs::write(&file, &default.stdout).unwrap();
    let checked = check(&file);
    assert!(checked.success, "{}", checked.stderr);

    std::fs::write(&file, format!("{}\n[nonsense]\nkey = 1\n", default.stdout)).unwrap();
    let checked = check(&file);
    assert!(!checked.success && checked.stderr.contains("nonsense"), "{}", checked.stderr);
    let missing = check(&folder.path().join("missing.toml"));
    assert!(!missing.success && missing.stderr.contains("missing.toml"), "{}", missing.stderr);
}

#[test]
fn a_data_directory_in_use_is_refused_and_its_user_undisturbed() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let plan = Plan::durable(folder.path());
    let mut first = plan.start();
    let said = refusal(&mut plan.command());
    assert!(said.contains(&*folder.path().to_string_lossy()), "the directory is not named: {said}");
    assert!(said.contains("use"), "it does not say that the directory is in use: {said}");
    assert!(first.is_running());
}

#[test]
fn a_port_in_use_is_refused_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listen.http", "listen.pychat", "listen.admin"] {
        let said = refusal(&mut Plan::embedded().set(key, &address).command());
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_asked_how_it_is_by_command() {
    let node = Plan::embedded().set("shutdown.readiness_delay_ms", "600000").start();
    let address = node.address("admin").to_string();
    let ask =
        |probe: &str| run(gateway().args(["health", "--probe", probe, "--set", &format!("listen.admin={address}")]));
    for probe in ["live", "ready", "startup"] {
        let answer = ask(probe);
        assert!(answer.success && answer.stdout.contains("ok"), "{probe}: {}{}", answer.stdout, answer.stderr);
    }
    node.sigterm();
    let said = eventually("readiness to fail", async || {
        let answer = ask("ready");
        if answer.success { Err(answer.stdout) } else { Ok(answer.stderr) }
    })
    .await;
    assert!(said.contains("503") && said.contains("leaving"), "{said}");
    assert!(ask("live").success, "it is alive until it is gone");
    drop(node);
    let said = refusal(gateway().args(["health", "--set", &format!("listen.admin={address}")]));
    assert!(said.contains(&address) && said.contains("does not answer"), "{said}");
    let said = refusal(gateway().args(["health", "--set", "listen.admin=off"]));
    assert!(said.contains("listen.admin"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_off_is_not_there() {
    let node = Plan::embedded().set("listen.detect_tcp", "off").start();
    assert!(!node.listens("detect_tcp"));
    Client::member(&node, Pychat, "alice", "red").await.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_node_keeps_its_history_over_a_restart() {
    survives(|mut node| {
        node.sigterm();
        assert_eq!(node.wait_exit().code(), Some(0));
    })
    .await;
}

/// What was acknowledged is on disk, not in the memory of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_node_keeps_its_history_over_a_crash() {
    survives(|mut node| node.kill9()).await;
}

async fn survives(end: impl FnOnce(Node)) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let plan = Plan::durable(folder.path());
    let node = plan.start();
    let mut alice = Client::member(&node, Pychat, "alice", "red").await;
    alice.say("red", "remember me").await;
    end(node);

    let node = plan.start();
    // The name was held by a connection of the old process, so it is free.
    let mut alice = Client::member(&node, Pychat, "alice", "red").await;
    let records = alice.history("").await;
    let bodies: Vec<&str> = records.iter().filter_map(|record| record["body"].as_str()).collect();
    assert!(bodies.contains(&"remember me"), "{bodies:?}");
    alice.say("red", "and me").await;
    alice.expect_message("alice", "and me").await;
    let records = alice.history("").await;
    assert_eq!(records.last().map(|record| record["body"].clone()), Some("and me".into()), "the newest comes last");
}

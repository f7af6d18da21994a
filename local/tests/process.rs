//! The program as people run it: started, stopped, killed, started again.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_local");

/// A running hub; it ends with the test, whatever becomes of that.
struct Hub {
    process: Child,
    url: String,
    sink: String,
    rest: Box<dyn Read + Send>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Hub {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[], "warn", Stdio::inherit())
    }

    fn start_with(folder: &Path, arguments: &[&str], levels: &str, log: Stdio) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(arguments)
            .env("RUST_LOG", levels)
            .stderr(log)
            .args(["--listen", "127.0.0.1:0", "--sink", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let (mut url, mut sink) = (String::new(), String::new());
        // It prints the addresses once it listens.
        while url.is_empty() || sink.is_empty() {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("HTTP") => url = words.next().unwrap().to_owned(),
                Some("sink") => sink = words.next().unwrap().to_owned(),
                _ => {}
            }
        }
        Self {
            process,
            url,
            sink,
            rest: Box::new(out),
        }
    }

    fn send(&self, folder: &Path) -> Output {
        Command::new(PROGRAM)
            .args(["send", "quartr", "--url", &self.url, "--sink-url", &self.sink, "--data"])
            .arg(folder)
            .output()
            .unwrap()
    }

    fn stop(mut self, signal: &str) -> (bool, String) {
        Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status()
            .unwrap();
        let mut printed = String::new();
        self.rest.read_to_string(&mut printed).unwrap();
        (self.process.wait().unwrap().success(), printed)
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn it_starts_sends_stops_and_goes_on_however_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    for (signal, ends_well) in [("-TERM", true), ("-KILL", false), ("-INT", true)] {
        let hub = Hub::start(&folder);
        // Another hub on the same folder is refused, and says so.
        let second = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--sink", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .output()
            .unwrap();
        assert!(
            !second.status.success() && text(&second).contains("in use by another hub"),
            "{}",
            text(&second)
        );
        let sent = hub.send(&folder);
        assert!(
            sent.status.success() && text(&sent).contains("signature valid"),
            "{}",
            text(&sent)
        );
        let (well, printed) = hub.stop(signal);
        assert_eq!(
            (well, printed.contains("Stopped.")),
            (ends_well, ends_well),
            "{signal}: {printed}"
        );
    }
    let nobody = Command::new(PROGRAM)
        .args(["send", "quartr", "--url", "http://127.0.0.1:9", "--data"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(
        !nobody.status.success() && text(&nobody).contains("no hub answers"),
        "{}",
        text(&nobody)
    );
}

#[test]
fn its_log_is_json_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let written = std::fs::File::create(&log).unwrap();
    let hub = Hub::start_with(folder.path(), &["--log-format", "json"], "info", written.into());
    // Nobody has a source yet: it is refused, which is a line.
    let answer = Command::new(PROGRAM)
        .args([
            "send",
            "quartr",
            "--url",
            &hub.url,
            "--sink-url",
            &hub.sink,
            "--key",
            "hk_wrong",
            "--data",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!answer.status.success());
    assert!(hub.stop("-INT").0);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = lines.iter().find(|line| line["error_type"] == "unauthorized");
    assert!(
        refused.is_some_and(|line| line["level"] == "INFO" && line["status"] == 401),
        "{text}"
    );
}

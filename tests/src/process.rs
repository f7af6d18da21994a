//! A hub as a process of its own, to be killed.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The variable that makes `hub-process` as impatient as a deployed function, for measurements; without it it is as patient as a test.
pub const AS_DEPLOYED: &str = "HOOKLINE_AS_DEPLOYED";

/// A running `hub-process`; it is killed with this value.
#[derive(Debug)]
pub struct HubProcess {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl HubProcess {
    /// Starts `program` on this folder and port (0 takes a free one).
    pub async fn start(program: &str, folder: &Path, port: u16) -> Self {
        Self::start_with(program, folder, port, &[]).await
    }

    /// Starts it with these variables in its environment.
    pub async fn start_with(program: &str, folder: &Path, port: u16, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .arg(folder)
            .arg(port.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("hub-process starts");
        let commands = child.stdin.take().expect("its input");
        let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = answers.next_line().await.expect("its output").expect("its URL");
        Self {
            child,
            commands,
            answers,
            url,
        }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Gives a command and waits for its answer.
    pub async fn tell(&mut self, command: &str) -> String {
        self.begin(command).await;
        self.answers.next_line().await.expect("its output").expect("an answer")
    }

    /// Gives a command whose answer may never come.
    pub async fn begin(&mut self, command: &str) {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await
            .expect("its input");
    }

    /// Ends it at once, as a crash does: SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }
}

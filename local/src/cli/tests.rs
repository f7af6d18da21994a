#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use clap::CommandFactory;

use super::serve::Running;
use super::*;

fn parse(arguments: &[&str]) -> Cli {
    Cli::try_parse_from(std::iter::once("local").chain(arguments.iter().copied())).unwrap()
}

/// A hub as the command line starts it, on free ports, and what it printed.
async fn started(folder: &std::path::Path, more: &[&str]) -> (Running, String) {
    let mut arguments = vec!["--listen", "127.0.0.1:0", "--sink", "127.0.0.1:0"];
    arguments.extend(more);
    let mut out = Vec::new();
    let running = Running::start(&parse(&arguments).serve, folder, &mut out)
        .await
        .unwrap();
    (running, String::from_utf8(out).unwrap())
}

async fn command(folder: &std::path::Path, arguments: &[&str]) -> Result<String, CliError> {
    let mut cli = parse(arguments);
    cli.data = folder.to_owned();
    let mut out = Vec::new();
    run(cli, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

async fn send(running: &Running, folder: &std::path::Path, more: &[&str]) -> Result<String, CliError> {
    let sink = running.sink.url();
    let mut arguments = vec!["send", "quartr", "--url", running.hub.url(), "--sink-url", &sink];
    arguments.extend(more);
    command(folder, &arguments).await
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
    assert!(Cli::try_parse_from(["local", "send", "nobody"]).is_err());
    assert_eq!(parse(&[]).data, PathBuf::from(".hookline"));
    assert_eq!(parse(&["key", "--data", "x"]).data, PathBuf::from("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_sends_and_sees_a_sample_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let (running, printed) = started(&folder, &[]).await;
    assert!(
        printed.contains("This is the first start") && printed.contains("hk_"),
        "{printed}"
    );
    let told = send(&running, &folder, &[]).await.unwrap();
    for word in [
        "made the source",
        "made the webhook",
        "sent",
        "stored     202, rcp_",
        "verified   evt_",
        "delivered",
        "signature valid",
    ] {
        assert!(told.contains(word), "{word} is missing in\n{told}");
    }
    // The second time everything is there already.
    let told = send(&running, &folder, &[]).await.unwrap();
    assert!(!told.contains("made the") && told.contains("signature valid"), "{told}");
    let told = send(&running, &folder, &["--forged"]).await.unwrap();
    assert!(told.contains("rejected   signature_mismatch"), "{told}");
    assert_eq!(running.sink.taken().len(), 2);

    // A new key while the hub is running, and what `send` uses afterwards.
    let told = command(&folder, &["key"]).await.unwrap();
    assert!(
        told.contains("hk_")
            && !printed.contains(told.split_whitespace().find(|word| word.starts_with("hk_")).unwrap())
    );
    send(&running, &folder, &[]).await.unwrap();
    running.stop().await;
    let error = send(&running, &folder, &[]).await.unwrap_err().to_string();
    assert!(error.contains("no hub answers"), "{error}");

    // The next start goes on, shows no key, and knows the webhook's secret.
    let (running, printed) = started(&folder, &[]).await;
    assert!(printed.contains("earlier run") && !printed.contains("hk_"), "{printed}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for file in ["credentials.json", "source.json", "webhook.json"] {
            let mode = std::fs::metadata(folder.join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
    running.stop().await;
}

/// The three printed commands, through a shell, as a person would paste them.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_work_when_they_are_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let (running, printed) = started(folder.path(), &[]).await;
    let commands: Vec<&str> = printed
        .split("\n\n")
        .filter(|block| block.trim_start().starts_with("curl"))
        .collect();
    assert_eq!(commands.len(), 2, "{printed}");
    if std::process::Command::new("curl").arg("--version").output().is_ok() {
        for pasted in commands {
            let pasted = pasted.to_owned();
            let output =
                tokio::task::spawn_blocking(move || std::process::Command::new("sh").arg("-c").arg(pasted).output());
            let output = output.await.unwrap().unwrap();
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("\"id\":"),
                "{output:?}"
            );
        }
        let told = send(&running, folder.path(), &[]).await.unwrap();
        assert!(!told.contains("made the") && told.contains("signature valid"), "{told}");
    }
    let third = printed.lines().find(|line| line.contains("send quartr")).unwrap();
    let (before, arguments) = third.split_once(" -- ").unwrap();
    assert_eq!(before.trim(), "cargo run -p local");
    let arguments: Vec<&str> = arguments
        .split_whitespace()
        .map(|word| word.trim_matches('\''))
        .collect();
    let told = command(folder.path(), &arguments).await.unwrap();
    assert!(told.contains("signature valid"), "{told}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_in_memory_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (running, printed) = started(folder.path(), &["--memory"]).await;
    let key = printed.split_whitespace().find(|word| word.starts_with("hk_")).unwrap();
    assert!(printed.contains(&format!("--key {key}")));
    let told = send(&running, folder.path(), &["--key", key]).await.unwrap();
    assert!(told.contains("signature valid"), "{told}");
    running.stop().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |arguments: &[&str]| command(folder.path(), arguments).await.unwrap_err().to_string();
    assert!(refused(&["send", "quartr"]).await.contains("holds no admin key"));
    assert!(
        refused(&["send", "quartr", "--key", "hk_x", "--url", "http://127.0.0.1:9"])
            .await
            .contains("no hub answers")
    );
    assert!(refused(&["key"]).await.contains("--organization"));
    assert!(
        refused(&["key", "--organization", "org_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
            .await
            .contains("holds no hub")
    );
    let (running, _) = started(folder.path(), &["--dynamodb-port", "0"]).await;
    assert!(
        refused(&["key", "--organization", "org_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
            .await
            .contains("no organization")
    );
    let error = send(&running, folder.path(), &["--key", "hk_wrong"])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not know this admin key"), "{error}");
    running.stop().await;
}

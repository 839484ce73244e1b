//! Reads the client secret from where the connection says it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::SecretString;

use super::DataverseError;
use crate::model::SecretSource;

/// Reads the secret. Its trailing line end is cut; an empty secret is an error.
///
/// # Cancellation
/// A command that was started runs to its end, and its output is dropped; so is what a file gives.
pub(super) async fn read(source: &SecretSource) -> Result<SecretString, DataverseError> {
    let (from, bytes) = match source {
        SecretSource::Env(name) => (
            format!("the environment variable {name}"),
            from_environment(name),
        ),
        SecretSource::File(path) => (
            format!("the file {}", path.display()),
            from_file(path.clone()).await,
        ),
        // The arguments may be confidential, the program's name is not.
        SecretSource::Command(words) => (
            format!("the command {}", words.first().map_or("", String::as_str)),
            from_command(words.clone()).await,
        ),
        SecretSource::Published(value) => (
            "the documentation".to_owned(),
            Ok(value.as_bytes().to_vec()),
        ),
    };
    bytes
        .and_then(secret)
        .map_err(|why| DataverseError::Secret { from, why })
}

fn from_environment(name: &str) -> Result<Vec<u8>, String> {
    match std::env::var(name) {
        Ok(value) => Ok(value.into_bytes()),
        Err(std::env::VarError::NotPresent) => Err("it is not set".to_owned()),
        Err(std::env::VarError::NotUnicode(_)) => Err("it is not UTF-8".to_owned()),
    }
}

/// A pipe waits for whoever writes into it, and a folder on a network may wait as well.
async fn from_file(path: PathBuf) -> Result<Vec<u8>, String> {
    aside(move || {
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        if is_readable_by_all(&path) {
            tracing::warn!(file = %path.display(), "everybody on this machine can read the secret file; chmod 600 it");
        }
        Ok(bytes)
    })
    .await
}

/// On a thread that may wait.
async fn aside(
    read: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
) -> Result<Vec<u8>, String> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|_| "it did not end".to_owned())?
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_path: &Path) -> bool {
    false
}

/// Runs the command without a shell. Its error output goes to ours, for people to read; it is never kept.
async fn from_command(words: Vec<String>) -> Result<Vec<u8>, String> {
    aside(move || {
        let (program, arguments) = words.split_first().ok_or("it is empty")?;
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(output.status.to_string())
        }
    })
    .await
}

fn secret(bytes: Vec<u8>) -> Result<SecretString, String> {
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    async fn read_file(content: &[u8]) -> Result<String, DataverseError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        read(&SecretSource::File(path))
            .await
            .map(|secret| secret.expose_secret().to_owned())
    }

    fn command(words: &[&str]) -> SecretSource {
        SecretSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn one_trailing_line_end_is_cut_from_a_file() {
        assert_eq!(read_file(b"s3cret\n").await.unwrap(), "s3cret");
        assert_eq!(read_file(b"s3cret\r\n").await.unwrap(), "s3cret");
        assert_eq!(read_file(b" s3cret ").await.unwrap(), " s3cret ");
        assert_eq!(read_file(b"a\nb\n\n").await.unwrap(), "a\nb\n");
    }

    #[tokio::test]
    async fn an_empty_secret_is_an_error() {
        for content in [b"".as_slice(), b"\n", b"  \r\n", b"\xff\xfe"] {
            assert!(matches!(
                read_file(content).await,
                Err(DataverseError::Secret { .. })
            ));
        }
    }

    #[tokio::test]
    async fn a_missing_source_is_named() {
        let error = read(&SecretSource::Env("SEGUE_NO_SUCH_VARIABLE".to_owned()))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("SEGUE_NO_SUCH_VARIABLE"),
            "{error}"
        );
        let error = read(&SecretSource::File(PathBuf::from("no/such/file")))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }

    /// Held by it, a run could neither be told to stop nor end at its deadline.
    #[tokio::test]
    #[cfg(unix)]
    async fn a_file_that_keeps_us_waiting_keeps_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let writing = async { std::fs::write(&path, "s3cret\n").unwrap() };
        let source = SecretSource::File(path.clone());
        let (secret, ()) = tokio::join!(read(&source), writing);
        assert_eq!(secret.unwrap().expose_secret(), "s3cret");
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn a_command_runs_without_a_shell() {
        let secret = read(&command(&["printf", "%s\\n", "$HOME;x"]))
            .await
            .unwrap();
        assert_eq!(secret.expose_secret(), "$HOME;x");
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn a_command_that_fails_gives_no_secret_and_shows_no_arguments() {
        for words in [
            &["false", "hunter2"][..],
            &["/no/such/program", "hunter2"],
            &[],
        ] {
            let error = read(&command(words)).await.unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

//! The documents tell the truth: their commands are run, their tables are compared.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use segue::mapping::{COMPILE_CODES, FILE_CODES};
use serde_json::Value as Json;

use crate::desk::{Desk, numbered, ran};

const PAGES: &[&str] = &["README.md", "docs/commands.md"];

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The commands of a page in their order: what is run and the exit code that it says.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut commands = Vec::new();
    let mut is_console = false;
    for line in shipped(page).lines() {
        if let Some(fence) = line.strip_prefix("```") {
            is_console = fence == "console";
        } else if is_console && let Some(command) = line.strip_prefix("$ ") {
            let (command, remark) = command.split_once('#').unwrap_or((command, ""));
            let code = remark.trim().strip_prefix("exit ");
            let code = code.map_or(0, |code| code.parse().unwrap());
            commands.push((command.trim().to_owned(), code));
        }
    }
    commands
}

/// A folder as a fresh clone is, without any destination configured.
fn clone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mappings", "examples"] {
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(name),
            &folder.path().join(name),
        );
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn segue(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
    command
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

#[test]
fn every_command_shown_works_in_a_fresh_clone() {
    for page in PAGES {
        let clone = clone();
        let commands = commands(page);
        assert!(commands.len() > 2, "{page} shows no commands");
        for (shown, code) in commands {
            // The tests are being run right now.
            if shown == "cargo test --workspace" {
                continue;
            }
            let arguments = shown
                .strip_prefix("segue ")
                .or(shown.strip_prefix("cargo run --release -- "))
                .unwrap_or_else(|| panic!("{page}: who runs `{shown}`?"));
            if arguments.starts_with("sandbox") {
                serves(clone.path(), arguments);
                continue;
            }
            let ran = ran(&mut segue(clone.path(), arguments));
            assert_eq!(ran.code, Some(code), "{page}: {shown}: {ran:?}");
        }
    }
}

/// A sandbox that is ready says so, and ends when it is told to.
fn serves(folder: &Path, arguments: &str) {
    let mut child = segue(folder, arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("listens on http://127.0.0.1:"), "{first}");
    let ready = std::fs::read_to_string(folder.join("ready.json")).unwrap();
    let ready: Json = serde_json::from_str(&ready).unwrap();
    let told = [
        "url",
        "authority",
        "tenant_id",
        "client_id",
        "client_secret",
    ];
    assert!(told.iter().all(|name| ready[name].is_string()), "{ready}");
    if cfg!(unix) {
        let id = child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        lines.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn the_readme_shows_what_its_first_command_says() {
    let clone = clone();
    let ran = ran(&mut segue(
        clone.path(),
        "push --mapping mappings/accounts.yaml",
    ));
    let counts = ran
        .out
        .lines()
        .nth(1)
        .unwrap()
        .split("throttled")
        .next()
        .unwrap();
    assert!(
        shipped("README.md").contains(counts.trim_end()),
        "{}",
        ran.out
    );
}

#[test]
fn shipped_mappings_are_valid() {
    let clone = clone();
    let ran = ran(&mut segue(clone.path(), "validate --mapping mappings"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.lines().count() >= 6, "{ran:?}");
}

#[test]
fn every_problem_has_its_line() {
    let page = shipped("docs/problems.md");
    for (code, title) in FILE_CODES.iter().chain(COMPILE_CODES) {
        let line = format!("| {code} | {title} |");
        assert!(page.contains(&line), "{line}");
    }
}

/// Where the code has its words for rejects; what looks like one there is one.
const REJECTS: &[&str] = &[
    "src/dataverse/words.rs",
    "src/dispatch/advice.rs",
    "src/mapping/convert/refusal.rs",
    "src/mapping/reject.rs",
    "src/mapping/removal.rs",
];

#[test]
fn every_reject_has_its_line() {
    let page = shipped("docs/problems.md");
    let is_word =
        |text: &&str| text.len() > 5 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    for file in REJECTS {
        let code = shipped(file);
        let code = code.split("mod tests").next().unwrap();
        let words: Vec<&str> = code.split('"').skip(1).step_by(2).filter(is_word).collect();
        assert!(!words.is_empty(), "{file}");
        for word in words {
            assert!(page.contains(&format!("`{word}`")), "{file}: {word}");
        }
    }
}

fn names(object: &Json) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_the_names_of_their_schema() {
    let schema: Json = serde_json::from_str(&shipped("docs/results.schema.json")).unwrap();
    let of_run = &schema["$defs"]["run"]["properties"];
    let desk = Desk::new().await;
    desk.write("a.csv", numbered(2) + "A1,again\n");
    desk.accounts("{ path: a.csv }", "");
    let results = desk.push(&[]).json();
    assert!(names(&results).is_subset(&names(&schema["properties"])));
    let run = &results["runs"][0];
    assert!(names(run).is_subset(&names(of_run)), "{run}");
    for part in ["rows", "requests", "sending", "rejects", "removals"] {
        assert_eq!(
            names(&run[part]),
            names(&of_run[part]["properties"]),
            "{part}"
        );
    }
    let required = schema["$defs"]["run"]["required"].as_array().unwrap();
    for name in required {
        assert!(run.get(name.as_str().unwrap()).is_some(), "{name}");
    }
    let file = desk.path(".segue/runs").join(run["run"].as_str().unwrap());
    let kept = std::fs::read_to_string(file.join("run_results.json")).unwrap();
    assert_eq!(&serde_json::from_str::<Json>(&kept).unwrap(), run);
}

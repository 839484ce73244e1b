//! The walls of the house: who may import whom, which crate lives where, two traits, short files, honest names.
//!
//! Reads the sources of segue and of its emulator as tokens, without comments and literals, and compares what they
//! name with the tables of `architecture/house.rs`. Proved on a tree that breaks every wall,
//! `tests/fixtures/architecture`: there, a comment `//~ message` stands on each line where exactly that breach
//! has to be found.

#![cfg(test)]

#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use house::{ANYWHERE, BANNED, HOMES, JOINTS, MOST_LINES, PLACES, Place, Root, TRAITS};
use paths::{Module, Named};

#[test]
fn the_house_keeps_its_walls() {
    let found = breaches(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "\n{}\n", Vec::from_iter(found).join("\n"));
}

#[test]
fn every_broken_wall_is_reported_and_nothing_else() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/architecture");
    let found = breaches(&tree);
    let mut expected = BTreeSet::new();
    for file in files_under(&tree) {
        for (index, line) in read(&tree, &file).lines().enumerate() {
            if let Some((_, message)) = line.split_once("~ ") {
                expected.insert(breach(&file, index + 1, message));
            }
        }
    }
    assert!(expected.len() > 20, "the fixture has lost its breaches");
    let missed: Vec<_> = expected.difference(&found).collect();
    let invented: Vec<_> = found.difference(&expected).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "\nmissed: {missed:#?}\ninvented: {invented:#?}\n"
    );
}

#[test]
fn every_place_is_granted_only_places_that_there_are() {
    let known = |name: &&str| PLACES.iter().any(|place| place.name == *name);
    for place in PLACES {
        assert!(place.imports.concat().iter().all(known), "{}", place.name);
    }
    for (path, homes) in HOMES {
        assert!(homes.iter().all(known), "{path}");
    }
}

/// Every breach in a tree, as `file:line: message`.
fn breaches(tree: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    homeless(tree, &mut found);
    for package in ["", "emulator/"] {
        let sources: Vec<Module> = files_under(tree)
            .into_iter()
            .filter(|file| {
                file.starts_with(&format!("{package}src/"))
                    && Path::new(file).extension().is_some_and(|e| e == "rs")
            })
            .map(|file| Module::read(&read(tree, &file), file, &format!("{package}src/")))
            .collect();
        let test_modules: BTreeSet<Vec<String>> =
            sources.iter().flat_map(Module::test_files).collect();
        for module in &sources {
            let is_test =
                (1..=module.path.len()).any(|length| test_modules.contains(&module.path[..length]));
            let file = File { module, is_test };
            file.lengths(&mut found);
            file.names(&mut found);
            if package.is_empty() {
                file.traits(&mut found);
                file.imports(&mut found);
            } else {
                file.witness(&mut found);
            }
        }
    }
    found
}

/// Dependencies of the root package that the table does not know.
fn homeless(tree: &Path, found: &mut BTreeSet<String>) {
    let mut is_dependency = false;
    for (index, line) in read(tree, "Cargo.toml").lines().enumerate() {
        if line.starts_with('[') {
            is_dependency = line.trim() == "[dependencies]";
        } else if is_dependency && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name = line
                .split(['.', '=', ' '])
                .next()
                .unwrap()
                .replace('-', "_");
            let has_home = HOMES.iter().any(|(path, _)| *path == name)
                || ANYWHERE.contains(&name.as_str())
                || name == "segue_emulator";
            if !has_home {
                let message = format!("`{name}` has no home in the table");
                found.insert(breach("Cargo.toml", index + 1, &message));
            }
        }
    }
}

struct File<'a> {
    module: &'a Module,
    /// The whole file is compiled for tests only.
    is_test: bool,
}

impl File<'_> {
    fn report(&self, line: usize, message: &str, found: &mut BTreeSet<String>) {
        found.insert(breach(&self.module.file, line, message));
    }

    fn lengths(&self, found: &mut BTreeSet<String>) {
        let lines = self.module.lines_above_tests();
        if !self.is_test && lines > MOST_LINES {
            let message = format!("{lines} lines above its tests, {MOST_LINES} are the most");
            self.report(1, &message, found);
        }
    }

    fn names(&self, found: &mut BTreeSet<String>) {
        let path = Path::new(&self.module.file);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let folder = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        let own = if stem == "mod" { folder } else { stem };
        let declared = self.module.tokens.windows(2).filter_map(|pair| {
            let kinds = ["mod", "struct", "enum", "union", "type", "trait"];
            kinds.contains(&pair[0].text.as_str()).then_some(&pair[1])
        });
        let names = declared.map(|name| (name.line, name.text.as_str()));
        for (line, name) in names.chain([(1, own)]) {
            let words = words(name);
            for banned in BANNED {
                if words
                    .iter()
                    .any(|word| word == banned || *word == format!("{banned}s"))
                {
                    self.report(line, &format!("`{banned}` is a banned word"), found);
                }
            }
        }
    }

    fn traits(&self, found: &mut BTreeSet<String>) {
        for pair in self.module.tokens.windows(2) {
            let [keyword, name] = pair else { continue };
            let is_ours = TRAITS.contains(&name.text.as_str()) && self.place() == "model";
            if keyword.text == "trait" && !is_ours && !self.is_test && !keyword.is_test {
                let message = format!("`{}` is a third trait", name.text);
                self.report(keyword.line, &message, found);
            }
        }
    }

    fn witness(&self, found: &mut BTreeSet<String>) {
        for named in self.module.named() {
            if named.first() == "segue" {
                self.report(
                    named.line,
                    "the emulator shares nothing with `segue`",
                    found,
                );
            }
        }
    }

    fn place(&self) -> &str {
        let inside = self.module.file.trim_start_matches("src/");
        let first = inside.split('/').next().unwrap();
        first.trim_end_matches(".rs")
    }

    fn imports(&self, found: &mut BTreeSet<String>) {
        let Some(place) = PLACES.iter().find(|place| place.name == self.place()) else {
            let message = format!("`{}` has no place in the table", self.place());
            return self.report(1, &message, found);
        };
        for named in self.module.named() {
            let message = match named.within() {
                Some(inside) => trespass(place, inside),
                None => self.stranger(place, &named),
            };
            if let Some(message) = message {
                self.report(named.line, &message, found);
            }
        }
    }

    /// Why this place may not name a path of another crate.
    fn stranger(&self, place: &Place, named: &Named) -> Option<String> {
        let here = place.name;
        if named.first() == "segue_emulator" {
            let is_joint = JOINTS.contains(&here);
            return (!is_joint).then(|| format!("`{here}` may not import the emulator"));
        }
        if self.is_test || named.is_test {
            return None;
        }
        let path = named.path.join("::");
        let (home, places) = HOMES.iter().find(|(home, _)| {
            path.strip_prefix(home)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })?;
        (!places.contains(&here)).then(|| format!("`{home}` has no home in `{here}`"))
    }
}

/// Why a place may not name a path inside our own crate.
fn trespass(place: &Place, inside: &[String]) -> Option<String> {
    let here = place.name;
    let there = inside.first().map_or("crate", String::as_str);
    if there == here || place.imports.concat().contains(&there) {
        return None;
    }
    if PLACES.iter().any(|place| place.name == there) {
        return Some(format!("`{here}` may not import `{there}`"));
    }
    (place.root == Root::Closed)
        .then(|| format!("`{here}` may not reach `{there}` through the crate's root"))
}

/// The words of `snake_case` and `CamelCase`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() {
            words.push(String::new());
        }
        words
            .last_mut()
            .unwrap()
            .extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    words
}

fn breach(file: &str, line: usize, message: &str) -> String {
    format!("{file}:{line}: {message}")
}

fn read(tree: &Path, file: &str) -> String {
    fs::read_to_string(tree.join(file)).unwrap()
}

/// The source files and manifests of a tree, relative to it, with `/` between folders.
fn files_under(tree: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![tree.join("src"), tree.join("emulator/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.push(tree.join("Cargo.toml"));
    let relative = |path: PathBuf| {
        let inside = path.strip_prefix(tree).unwrap();
        inside.to_str().unwrap().replace('\\', "/")
    };
    files.into_iter().map(relative).collect()
}

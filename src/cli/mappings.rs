//! The mappings of a command: which files, which of them, in which order.

use std::path::{Path, PathBuf};

use clap::Args;

use super::stop::Stop;
use crate::mapping::Mapping;
use crate::report::ExitCode;

/// Which mappings.
#[derive(Args)]
pub(super) struct MappingArguments {
    /// A mapping file, or a folder of them; repeat for more. They run in the order of their lookups.
    #[arg(long, short, required = true, value_name = "FILE")]
    mapping: Vec<PathBuf>,
    /// Of these only the ones with this tag: `tag:daily`; repeat for more.
    #[arg(long, value_name = "tag:NAME", value_parser = tag)]
    select: Vec<String>,
}

fn tag(written: &str) -> Result<String, String> {
    match written.strip_prefix("tag:") {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("write `tag:` and the tag's name, as `tag:daily`".to_owned()),
    }
}

impl MappingArguments {
    /// One file.
    pub(super) fn of(mapping: PathBuf) -> Self {
        Self {
            mapping: vec![mapping],
            select: Vec::new(),
        }
    }

    /// The files, those of folders in name order.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Stop> {
        files_of(&self.mapping)
    }

    /// Whether the mapping is one of those that were asked for.
    pub(super) fn selects(&self, mapping: &Mapping) -> bool {
        self.select.is_empty() || mapping.tags.iter().any(|tag| self.select.contains(tag))
    }
}

/// The files of some paths, those of folders in name order.
pub(super) fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Stop> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(folder(path)?);
        } else if is_extract(path) {
            return Err(Stop::new(
                format!("{} is an extract, not a mapping", path.display()),
                "Name the mapping that has it as its `source`; --extract FILE reads another file in place of that one.",
                ExitCode::Usage,
            ));
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// By its extension, and if it is there: what is not there is told as that.
fn is_extract(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str());
    let known = ["csv", "tsv", "parquet", "gz", "zst"];
    extension.is_some_and(|it| known.iter().any(|known| it.eq_ignore_ascii_case(known)))
        && path.exists()
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Stop> {
    let unreadable = |error: std::io::Error| {
        let help = "Check that you may read the folder.";
        Stop::of(&error, help, ExitCode::Usage)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let extension = file.extension().and_then(|it| it.to_str());
        let is_hidden = file
            .file_name()
            .and_then(|name| name.to_str())
            .is_none_or(|name| name.starts_with('.') || name == "segue.yaml");
        if matches!(extension, Some("yaml" | "yml")) && !is_hidden {
            files.push(file);
        }
    }
    if files.is_empty() {
        let text = format!("there is no mapping in {}", path.display());
        let help = "Name a folder with .yaml files, or the files themselves.";
        return Err(Stop::new(text, help, ExitCode::Usage));
    }
    files.sort();
    Ok(files)
}

/// Whether the second refers to records that the first one writes.
pub(super) fn is_parent_of(parent: &Mapping, child: &Mapping) -> bool {
    let is_self = child.table.value == parent.table.value;
    !is_self && child.references().contains(&parent.table.value.as_str())
}

/// Tables before those that refer to them, otherwise as given; a circle is broken where it was entered.
pub(super) fn in_order(mut mappings: Vec<Mapping>) -> Vec<Mapping> {
    let mut ordered = Vec::with_capacity(mappings.len());
    while !mappings.is_empty() {
        let is_free = |child: &Mapping| {
            let others = mappings.iter();
            others.filter(|parent| is_parent_of(parent, child)).count() == 0
        };
        let next = mappings.iter().position(is_free).unwrap_or(0);
        ordered.push(mappings.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(table: &str, refers_to: &[&str]) -> Mapping {
        let mut text = format!(
            "version: 1\nsource: {{ path: a.csv }}\ntarget: {{ table: {table}, key: k }}\ncolumns:\n  k: k\n"
        );
        for other in refers_to {
            text = format!("{text}  c{other}: {{ lookup: {other}, by: {{ a: b }} }}\n");
        }
        Mapping::parse(Path::new("m.yaml"), &text).unwrap()
    }

    #[test]
    fn tables_come_before_those_that_refer_to_them() {
        let order = |mappings: Vec<Mapping>| -> Vec<String> {
            let ordered = in_order(mappings).into_iter();
            ordered.map(|it| it.table.value).collect()
        };
        let contact = || mapping("contact", &["account", "contact"]);
        let lead = || mapping("lead", &["contact"]);
        let account = || mapping("account", &[]);
        assert_eq!(
            order(vec![lead(), contact(), account()]),
            ["account", "contact", "lead"]
        );
        let circle = vec![mapping("account", &["contact"]), contact()];
        assert_eq!(order(circle), ["account", "contact"]);
    }
}

//! `segue.yaml` and the environment: the destinations there are, and where state is kept.

mod address;
mod destination;
mod mask;
mod variables;

use std::path::{Path, PathBuf};

use self::destination::DESTINATION;
use super::compile_words::{closest, listed};
use super::convert::shown;
use super::decode::{Decoder, Form, Settings};
use super::problem::{Problem, codes};
use super::read::{read_text, told};
use super::{Mapping, MappingError, Problems, yaml};
use crate::model::Connection;

const NAME: &str = "segue.yaml";
const STATE: &str = ".segue";
const SANDBOX: &str = "sandbox";
/// The destination that the environment variables make.
const ENVIRONMENT: &str = "env";

const CONFIG: Settings = Settings {
    known: &["version", "state", "destinations"],
    later: &["sources"],
};

/// Where a mapping can be pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The embedded Dataverse.
    Sandbox {
        /// What people call it.
        name: String,
        /// The file that keeps its rows, if it is not the usual one.
        data: Option<PathBuf>,
    },
    /// An environment of Dataverse.
    Dataverse(Connection),
}

impl Destination {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Sandbox { name, .. } => name,
            Self::Dataverse(connection) => &connection.name,
        }
    }
}

/// `segue.yaml`, the environment, and what stands in for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    file: Option<PathBuf>,
    base: PathBuf,
    state: PathBuf,
    /// Of the file, in its order; then `env`, where the environment makes one. The sandbox where there is neither.
    destinations: Vec<Destination>,
}

impl Config {
    /// Reads `explicit`, or the nearest `segue.yaml` of the working folder and those above it; without either
    /// there is the sandbox alone.
    ///
    /// # Errors
    /// If the file cannot be read or is not right, or the environment names half a destination.
    pub fn find(
        working: &Path,
        explicit: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, MappingError> {
        let nearest = || working.ancestors().map(|folder| folder.join(NAME));
        let file = match explicit {
            Some(file) => Some(working.join(file)),
            // A folder or a broken link of this name is found too: reading it then tells so.
            None => nearest().find(|file| file.symlink_metadata().is_ok()),
        };
        let mut config = match file {
            Some(file) => Self::read(&file)?,
            None => Self {
                file: None,
                base: working.to_owned(),
                state: working.join(STATE),
                destinations: Vec::new(),
            },
        };
        let made = variables::destination(variable)?;
        config.destinations.extend(made.map(Destination::Dataverse));
        if config.destinations.is_empty() {
            config.destinations.push(embedded());
        }
        Ok(config)
    }

    fn read(file: &Path) -> Result<Self, MappingError> {
        let text = read_text(file).map_err(mask::error)?;
        Ok(Self::parse(file, &text)?)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut decoder = Decoder::default();
        let root = yaml::read(text, &mut decoder.problems);
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        let form = root.as_ref().and_then(|root| decoder.file(root, &CONFIG));
        let config = form.map(|form| decoder.config(&form, file, base));
        match config {
            Some(config) if decoder.problems.is_empty() => Ok(config),
            _ => {
                let problems = told(file, text, decoder.problems);
                Err(mask::problems(problems, root.as_ref()))
            }
        }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The folder that the file is in, otherwise the working folder.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Where ledgers, runs and the sandbox's rows are kept.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Those of the file in its order, then `env`; the sandbox where neither names any.
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// The destination that a flag names, else the mapping, else `env`, else the only one there can be. `sandbox` can
    /// always be named.
    ///
    /// # Errors
    /// If there is none of that name, or several and none is named.
    pub fn choose(
        &self,
        wanted: Option<&str>,
        mapping: Option<&Mapping>,
    ) -> Result<Destination, MappingError> {
        if let Some(name) = wanted.filter(|name| !name.is_empty()) {
            return self.named(name).ok_or_else(|| self.unknown(name));
        }
        if let Some(mapping) = mapping
            && let Some(written) = &mapping.destination
        {
            let unknown = || self.unknown_in(mapping, &written.value, written.at.clone());
            return self
                .named(&written.value)
                .ok_or_else(|| MappingError::Problems(unknown()));
        }
        if let Some(made) = self.named(ENVIRONMENT) {
            return Ok(made);
        }
        match self.destinations.as_slice() {
            [] => Ok(embedded()),
            [only] => Ok(only.clone()),
            _ => Err(MappingError::Several {
                names: self.names(),
            }),
        }
    }

    fn named(&self, name: &str) -> Option<Destination> {
        let found = self.destinations.iter().find(|it| it.name() == name);
        found.cloned().or_else(|| (name == SANDBOX).then(embedded))
    }

    fn names(&self) -> String {
        let names = self.destinations.iter().map(Destination::name);
        let embedded = self.destinations.iter().all(|it| it.name() != SANDBOX);
        listed(names.chain(embedded.then_some(SANDBOX)))
    }

    fn unknown(&self, name: &str) -> MappingError {
        MappingError::UnknownDestination {
            name: name.to_owned(),
            names: self.names(),
        }
    }

    fn unknown_in(&self, mapping: &Mapping, name: &str, at: std::ops::Range<usize>) -> Problems {
        let names = self.destinations.iter().map(Destination::name);
        let help = closest(name, names.chain([SANDBOX])).map_or_else(
            || format!("There are {}.", self.names()),
            |meant| format!("did you mean `{meant}`?"),
        );
        let problem = Problem {
            code: codes::UNKNOWN_DESTINATION,
            title: format!("there is no destination `{}`", shown(name)),
            at,
            label: "not in segue.yaml".to_owned(),
            help: Some(help),
            other: None,
        };
        told(&mapping.file, &mapping.text, vec![problem])
    }
}

fn embedded() -> Destination {
    Destination::Sandbox {
        name: SANDBOX.to_owned(),
        data: None,
    }
}

impl Decoder {
    fn config(&mut self, form: &Form<'_>, file: &Path, base: PathBuf) -> Config {
        self.version(form);
        let state = form.get("state").and_then(|it| self.path(it, &base));
        let lines = form.get("destinations").and_then(|entry| {
            let help = "Name each: `prod: { url: …, … }`.";
            self.names(entry, || help.to_owned())
        });
        let entries = lines.into_iter().flat_map(|lines| lines.entries);
        let destinations = entries
            .filter_map(|entry| {
                let form = self.form(entry, &DESTINATION)?;
                self.destination(entry, &form, &base)
            })
            .collect();
        Config {
            file: Some(file.to_owned()),
            state: state.unwrap_or_else(|| base.join(STATE)),
            base,
            destinations,
        }
    }
}

impl MappingError {
    pub(super) fn half_set(missing: &[&str]) -> Self {
        Self::HalfSet {
            missing: listed(missing.iter().copied()),
        }
    }
}

#[cfg(test)]
mod tests;

//! Checks of `target.key`: the table must have that key, and rows must bring its values.

use std::ops::Range;

use super::compile::{Compiler, TargetKey};
use super::compile_codes as codes;
use super::compile_words::{kind_in_words, listed};
use super::{ColumnMapping, Literal, Origin, TooLong, Written};
use crate::model::{AlternateKey, ColumnKind, KeyStatus, LogicalName, When};

impl Compiler<'_> {
    /// The key that the mapping names; `None` if the table has none like it, which has been told.
    pub(super) fn key(&mut self) -> Option<TargetKey> {
        let mapping = self.mapping;
        let before = self.problems.len();
        for name in &mapping.key {
            match self.table.column(&name.value) {
                Some(_) => self.key_column(name),
                None => self.unknown_column(name),
            }
        }
        let key = self.wanted_key();
        (self.problems.len() == before).then_some(key?)
    }

    fn wanted_key(&mut self) -> Option<TargetKey> {
        let table = self.table;
        let mut wanted: Vec<&str> = self
            .mapping
            .key
            .iter()
            .map(|it| it.value.as_str())
            .collect();
        if wanted == [table.primary_id.as_str()] {
            return Some(TargetKey {
                columns: vec![table.primary_id.clone()],
                is_primary_id: true,
            });
        }
        wanted.sort_unstable();
        let is_wanted = |key: &&AlternateKey| {
            let mut columns: Vec<&str> = key.columns.iter().map(LogicalName::as_str).collect();
            columns.sort_unstable();
            columns == wanted
        };
        let found = || table.keys.iter().filter(is_wanted);
        if let Some(key) = found().find(|key| key.status == KeyStatus::Active) {
            return Some(TargetKey {
                columns: key.columns.clone(),
                is_primary_id: false,
            });
        }
        match found().next() {
            Some(key) => self.inactive_key(key),
            // A column that does not exist has been told; the key may be right otherwise.
            None if wanted.iter().all(|name| table.column(name).is_some()) => self.unknown_key(),
            None => {}
        }
        None
    }

    fn inactive_key(&mut self, key: &AlternateKey) {
        let help = match key.status {
            KeyStatus::Failed => {
                "Remove duplicate values from the table, then reactivate the key in the maker \
                 portal under the table's Keys."
            }
            KeyStatus::Pending | KeyStatus::InProgress | KeyStatus::Active => {
                "Wait until the maker portal shows it as Active under the table's Keys."
            }
        };
        self.tell(
            codes::NOT_A_KEY,
            &self.mapping.key_at,
            format!(
                "key `{}` of table `{}` is not active",
                key.name, self.table.name
            ),
            format!("its index is {}", status_in_words(key.status)),
            help.to_owned(),
        );
    }

    fn unknown_key(&mut self) {
        let table = self.table;
        let wanted = self.mapping.key.iter().map(|name| name.value.as_str());
        let columns = listed(wanted);
        let keys: Vec<String> = table
            .keys
            .iter()
            .map(|key| {
                let columns = key.columns.iter().map(LogicalName::as_str);
                let status = status_in_words(key.status);
                format!("[{}] ({status})", columns.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let known = match keys.as_slice() {
            [] => "it has no alternate key".to_owned(),
            keys => format!("its keys are {}", keys.join(", ")),
        };
        let shown = table.display_name.as_deref().unwrap_or(table.name.as_str());
        self.tell(
            codes::NOT_A_KEY,
            &self.mapping.key_at,
            format!("table `{}` has no key of {columns}", table.name),
            "neither the primary id nor an alternate key",
            format!(
                "{known}, and its primary id is `{}`. To make a key: in the maker portal open \
                 Tables > {shown} > Keys > New key, choose {columns}, save, and wait until its \
                 status is Active.",
                table.primary_id
            ),
        );
    }

    /// Checks that rows bring the key column's value as it is.
    fn key_column(&mut self, name: &Written<String>) {
        let mapping = self.mapping;
        let mut lines = mapping.columns.iter();
        match lines.find(|line| line.target.value == name.value) {
            None if mapping.unread.contains(&name.value) => {}
            None => self.tell(
                codes::KEY_NOT_MAPPED,
                &name.at,
                format!("key column `{}` is not mapped", name.value),
                "no line under `columns:`",
                format!("Add `{}: source_column` under `columns:`.", name.value),
            ),
            Some(line) => {
                self.firm(line);
                self.key_type(name);
            }
        }
    }

    fn firm(&mut self, line: &ColumnMapping) {
        let steps = &line.steps;
        let truncate = steps.max.as_ref();
        let truncate = truncate.filter(|max| max.value == TooLong::Truncate);
        self.firm_origin(line);
        let loose = [
            steps
                .default
                .as_ref()
                .map(|it| (&it.at, "all rows without a key would become one record")),
            steps
                .nulls
                .as_ref()
                .map(|it| (&it.at, "a row without a key is always rejected")),
            truncate.map(|it| (&it.at, "different keys could become the same")),
            steps
                .when
                .as_ref()
                .filter(|when| when.value != When::Always)
                .map(|it| (&it.at, "every write needs the key")),
        ];
        for (at, label) in loose.into_iter().flatten() {
            let help = "Take it out; rows without a usable key are rejected.".to_owned();
            self.not_firm(line, at, label, help);
        }
    }

    /// A fixed value may be a part of the key, such as the system that the rows come from, if another part tells rows
    /// apart.
    fn firm_origin(&mut self, line: &ColumnMapping) {
        let (at, label) = match &line.origin {
            Origin::From(_) => return,
            Origin::Value(value) if value.value == Literal::Null => {
                (&value.at, "no record has an empty key")
            }
            Origin::Value(_) if self.tells_rows_apart() => return,
            Origin::Value(value) => (&value.at, "every row would have the same key"),
            Origin::Stamp(stamp) => (&stamp.at, "every run would make each record anew"),
            Origin::Lookup(lookup) => (&lookup.table.at, "a reference is no key"),
        };
        let help = format!(
            "Write `{}: source_column`. A fixed value can be a part of a key of several columns.",
            line.target.value
        );
        self.not_firm(line, at, label, help);
    }

    fn not_firm(&mut self, line: &ColumnMapping, at: &Range<usize>, label: &str, help: String) {
        let name = &line.target.value;
        let what = format!("key column `{name}` must come from a source column as it is");
        self.tell(codes::KEY_NOT_FIRM, at, what, label, help);
    }

    /// Whether some column of the key comes from the rows.
    fn tells_rows_apart(&self) -> bool {
        let is_key = |line: &&ColumnMapping| {
            let mut key = self.mapping.key.iter();
            key.any(|name| name.value == line.target.value)
        };
        let mut lines = self.mapping.columns.iter().filter(is_key);
        lines.any(|line| matches!(line.origin, Origin::From(_)))
    }

    fn key_type(&mut self, name: &Written<String>) {
        let table = self.table;
        let Some(column) = table.column(&name.value) else {
            return;
        };
        let fits = match &column.kind {
            ColumnKind::Text { .. }
            | ColumnKind::Integer { .. }
            | ColumnKind::BigInt
            | ColumnKind::Decimal { .. }
            | ColumnKind::Date
            | ColumnKind::DateTime { .. }
            | ColumnKind::Choice { .. } => true,
            ColumnKind::Guid => column.name == table.primary_id,
            ColumnKind::Memo { .. }
            | ColumnKind::Float { .. }
            | ColumnKind::Money { .. }
            | ColumnKind::Boolean { .. }
            | ColumnKind::State { .. }
            | ColumnKind::Status { .. } => false,
            // Told already where the column is mapped: not supported by this version.
            ColumnKind::Choices { .. } | ColumnKind::Lookup { .. } | ColumnKind::Other(_) => true,
        };
        if !fits {
            self.tell(
                codes::KEY_TYPE,
                &name.at,
                format!("column `{}` cannot be part of a key", name.value),
                kind_in_words(&column.kind),
                "Keys are made of text, whole numbers, decimals, dates and choices.".to_owned(),
            );
        }
    }
}

fn status_in_words(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Pending => "waiting to be built",
        KeyStatus::InProgress => "being built",
        KeyStatus::Active => "active",
        KeyStatus::Failed => "failed",
    }
}

//! `segue get`

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::output;
use super::settings::{SettingsArguments, reach};
use super::stop::Stop;
use crate::dataverse::{Dataverse, GetKey, WireOptions};
use crate::model::Connection;
use crate::report::ExitCode;

/// Arguments of `segue get`.
#[derive(Args)]
pub(super) struct GetArguments {
    /// The table, by logical name or entity set name.
    table: String,
    /// A GUID, or the columns of an alternate key: `accountnumber=AW00000001`.
    key: String,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Print the record as the service returned it.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: GetArguments) -> Result<ExitCode, Stop> {
    let config = arguments.settings.read()?;
    let destination = arguments.settings.choose(&config, None)?;
    let reached = reach(&destination, config.state(), Duration::ZERO).await?;
    let found = look(&arguments, &reached.connection).await;
    reached.leave().await;
    let Some(record) = found? else {
        let GetArguments { table, key, .. } = &arguments;
        let text = format!("there is no record of `{table}` with `{key}`");
        let help = "Compare the value with the one in Dataverse.";
        return Err(Stop::new(text, help, ExitCode::Rejects));
    };
    if arguments.json {
        output::print(&record);
    } else {
        output::print(&for_people(&record));
    }
    Ok(ExitCode::Done)
}

async fn look(arguments: &GetArguments, connection: &Connection) -> Result<Option<String>, Stop> {
    let environment = Dataverse::connect(connection, &WireOptions::default()).await?;
    let table = environment.table(&arguments.table).await?;
    let key = GetKey::parse(&arguments.key, &table)?;
    let record = environment.get(&table, &key).await?;
    Ok(record.map(|record| record.get().to_owned()))
}

const FORMATTED: &str = "@OData.Community.Display.V1.FormattedValue";

/// Columns that hold something, by name, with the words of the service beside its codes.
fn for_people(record: &str) -> String {
    let Ok(columns) = serde_json::from_str::<BTreeMap<String, Value>>(record) else {
        return record.to_owned();
    };
    let rows = columns.iter().filter_map(|(name, value)| {
        if name.contains('@') || value.is_null() {
            return None;
        }
        let plain = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let formatted = columns.get(&format!("{name}{FORMATTED}"));
        let words = formatted
            .and_then(Value::as_str)
            .filter(|words| *words != plain);
        let shown = words.map_or(plain.clone(), |words| format!("{plain}  ({words})"));
        Some(vec![name.clone(), shown])
    });
    output::columns(&rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_beside_codes_and_nulls_are_left_out() {
        let record = r#"{"@odata.etag":"W/1","name":"Ann","fax":null,"gendercode":2,
            "gendercode@OData.Community.Display.V1.FormattedValue":"Female"}"#;
        assert_eq!(
            for_people(record),
            "gendercode  2  (Female)\nname        Ann"
        );
    }
}

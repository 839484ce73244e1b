//! The records of the model: what each operation does to them, under two unique keys.
#![cfg(test)]

use segue::model::{
    Accepted, Action, Effect, Found, LogicalName, Made, Operation, RecordId, RowFailure, Value,
};
use uuid::Uuid;

use crate::extract::{EMAIL, NAME, NUMBER};
use crate::service::{Rival, State, Stored, run_start, somebody_else, text, us};

impl State {
    pub(crate) fn meddle(&mut self, operation: &Operation) {
        let number = text(&operation.record.values[NUMBER]);
        match (self.rivals.remove(&number), operation.action) {
            (Some(Rival::Deletes), Action::Update(id)) => {
                self.records.remove(&id);
            }
            (Some(Rival::Creates), Action::Upsert | Action::Create(_)) => {
                let mut values = operation.record.values.clone();
                values[NAME] = Value::Text("made by somebody else".into());
                if self.holder(NUMBER, &values[NUMBER]).is_none() {
                    self.insert_of_others(values);
                }
            }
            (Some(Rival::Deletes | Rival::Creates) | None, _) => {}
        }
    }

    pub(crate) fn apply(
        &mut self,
        operation: &Operation,
        number: &str,
    ) -> Result<Accepted, RowFailure> {
        let values = &operation.record.values;
        let holder = self.holder(NUMBER, &values[NUMBER]);
        match (operation.action, holder) {
            (Action::Upsert | Action::UpdateByKey, Some(id)) => self.update(id, operation),
            (Action::UpdateByKey, None) => Err(RowFailure::NotFound),
            (Action::Upsert, None) => {
                self.ids += 1;
                let id = RecordId(Uuid::from_u128(self.ids));
                self.create(id, operation, number)
            }
            (Action::Create(id), holder) => {
                if self.records.contains_key(&id) {
                    return Err(RowFailure::DuplicateRecord);
                }
                if holder.is_some() {
                    return Err(violated(NUMBER, &values[NUMBER]));
                }
                self.create(id, operation, number)
            }
            (Action::Update(id), _) => self.update(id, operation),
            (Action::Delete(id), _) => match self.records.remove(&id) {
                Some(_) => Ok(accepted(Effect::Deleted, id, None)),
                None => Err(RowFailure::NotFound),
            },
        }
    }

    fn update(&mut self, id: RecordId, operation: &Operation) -> Result<Accepted, RowFailure> {
        let email = &operation.record.values[EMAIL];
        let taken = operation.columns.contains(EMAIL)
            && self.holder(EMAIL, email).is_some_and(|holder| holder != id);
        let Some(stored) = self.records.get_mut(&id) else {
            return Err(RowFailure::NotFound);
        };
        if taken {
            return Err(violated(EMAIL, email));
        }
        for column in operation.columns.iter() {
            stored.values[column] = operation.record.values[column].clone();
        }
        Ok(accepted(Effect::Updated, id, Some(stored.made)))
    }

    fn create(
        &mut self,
        id: RecordId,
        operation: &Operation,
        number: &str,
    ) -> Result<Accepted, RowFailure> {
        let record = &operation.record.values;
        let mut values = vec![Value::Null; record.len()];
        values[NUMBER] = record[NUMBER].clone();
        for column in operation.columns.iter() {
            values[column] = record[column].clone();
        }
        if self.holder(EMAIL, &values[EMAIL]).is_some() {
            return Err(violated(EMAIL, &values[EMAIL]));
        }
        let made = Made {
            on: run_start(),
            by: us(),
        };
        self.records.insert(id, Stored { values, made });
        *self.created.entry(number.to_owned()).or_default() += 1;
        Ok(accepted(Effect::Created, id, Some(made)))
    }

    /// Who has that value in that column, both of which are unique keys.
    pub(crate) fn holder(&self, column: usize, value: &Value) -> Option<RecordId> {
        let holds = |stored: &Stored| !value.is_null() && stored.values[column] == *value;
        self.records
            .iter()
            .find(|(_, stored)| holds(stored))
            .map(|(id, _)| *id)
    }

    pub(crate) fn insert_of_others(&mut self, values: Vec<Value>) -> RecordId {
        self.ids += 1;
        let id = RecordId(Uuid::from_u128(self.ids));
        let made = Made {
            on: run_start(),
            by: somebody_else(),
        };
        self.records.insert(id, Stored { values, made });
        id
    }

    pub(crate) fn look_up(&self, keys: &[Vec<Value>]) -> Vec<Found> {
        let asked = |stored: &Stored| keys.iter().any(|key| key[0] == stored.values[NUMBER]);
        self.records
            .iter()
            .filter(|(_, stored)| asked(stored))
            .map(|(id, stored)| Found {
                id: *id,
                key: vec![stored.values[NUMBER].clone()],
            })
            .collect()
    }
}

fn accepted(effect: Effect, id: RecordId, made: Option<Made>) -> Accepted {
    Accepted {
        effect,
        id: Some(id),
        made,
    }
}

fn violated(column: usize, value: &Value) -> RowFailure {
    let name = if column == NUMBER {
        "accountnumber"
    } else {
        "emailaddress1"
    };
    RowFailure::DuplicateKey {
        columns: vec![(LogicalName::parse(name).unwrap(), text(value))],
    }
}

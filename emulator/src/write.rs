//! Creates, updates and upserts of one row: the algorithm, defaults and computed columns.
//!
//! Source: Microsoft Learn, "Use Upsert to Create or Update a record", "Server-side processing of
//! upsert requests"; for states "Define custom state model transitions" and what integrators
//! report of `statecode` on create.

use uuid::Uuid;

use crate::address::RowKey;
use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::options::ReadOnly;
use crate::parties;
use crate::payload::Assignments;
use crate::refusal::Refusal;
use crate::request::Condition;
use crate::schema::ColumnDef;
use crate::state;
use crate::value::{Cells, Column, Value};

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Created(Uuid),
    Updated(Uuid),
}

impl Done {
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Created(id) | Self::Updated(id) => id,
        }
    }
}

/// `POST` to a set.
pub(crate) fn create(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    assignments: Assignments,
) -> Result<Done, Refusal> {
    let id = assignments.id.unwrap_or_else(|| context.new_id(engine));
    insert(engine, context, layout, id, assignments.values)
}

/// `PATCH` of a row, by id or by alternate key.
pub(crate) fn upsert(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    key: RowKey,
    condition: Condition,
    mut assignments: Assignments,
) -> Result<Done, Refusal> {
    if matches!(condition, Condition::NotVersion(_)) {
        return Err(Refusal::unfit_condition());
    }
    check_body_id(layout, &key, &assignments)?;
    let found = find(engine, layout, &key);
    let must_exist = matches!(condition, Condition::Exists | Condition::Version(_));
    let Some(id) = found else {
        if must_exist {
            return Err(absent(layout, &key));
        }
        let id = match key {
            RowKey::Id(id) => id,
            RowKey::Alternate { values, .. } => {
                // A value in the body wins over the one in the URL.
                for (column, value) in values {
                    if !assignments.values.iter().any(|(known, _)| *known == column) {
                        assignments.values.push((column, Some(value)));
                    }
                }
                context.new_id(engine)
            }
        };
        return insert(engine, context, layout, id, assignments.values);
    };
    if condition == Condition::Absent {
        return Err(Refusal::duplicate_record());
    }
    check_version(engine, layout, id, condition)?;
    if let RowKey::Alternate { values, .. } = &key {
        let is_key = |column: &Column| values.iter().any(|(known, _)| known == column);
        assignments.values.retain(|(column, _)| !is_key(column));
    }
    change(engine, context, layout, id, assignments.values)
}

/// An upsert by alternate key must not choose the id as well: the documented algorithm would take
/// the id for the row's identity, and nobody has seen what the service does.
fn check_body_id(layout: &Layout, key: &RowKey, assignments: &Assignments) -> Result<(), Refusal> {
    let is_other = match (key, assignments.id) {
        (_, None) => false,
        (RowKey::Id(id), Some(other)) => *id != other,
        (RowKey::Alternate { .. }, Some(_)) => true,
    };
    if !is_other {
        return Ok(());
    }
    let column = &layout.def.primary_id;
    Err(Refusal::new(
        400,
        "0x80040203",
        format!("Invalid argument. '{column}' in the body is not the key in the URL."),
    ))
}

pub(crate) fn find(engine: &Engine, layout: &Layout, key: &RowKey) -> Option<Uuid> {
    match key {
        RowKey::Id(id) => engine.row(layout, *id).map(|_| *id),
        RowKey::Alternate { number, values } => {
            let values = values.iter().map(|(_, value)| value.clone());
            engine.find(layout, *number, values)
        }
    }
}

pub(crate) fn absent(layout: &Layout, key: &RowKey) -> Refusal {
    let table = &layout.def.logical_name;
    match key {
        RowKey::Id(id) => Refusal::no_such_row(table, *id),
        RowKey::Alternate { .. } => Refusal::no_row_with_key(table),
    }
}

pub(crate) fn check_version(
    engine: &Engine,
    layout: &Layout,
    id: Uuid,
    condition: Condition,
) -> Result<(), Refusal> {
    match (condition, engine.row(layout, id)) {
        (Condition::Version(wanted), Some(row)) if row.version != wanted => {
            Err(Refusal::version_mismatch())
        }
        _ => Ok(()),
    }
}

fn insert(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<Done, Refusal> {
    // The row begins in its first state, whatever the body says.
    let state = layout.special.state;
    let written = writable(context, layout, written, Verb::Create)?;
    let written: Written = written
        .into_iter()
        .filter(|(column, _)| Some(*column) != state)
        .collect();
    parties::check(engine, layout, id, &written)?;
    let mut draft = Draft(layout.defaults.clone());
    draft.take(&written);
    state::check_create(layout, id, &draft)?;
    let special = &layout.special;
    if let Some(owner) = special.owner
        && draft.get(owner).is_none()
    {
        draft.set(owner, context.caller_reference());
    }
    draft.set_maybe(
        special.owning_business_unit,
        context.business_unit_reference(),
    );
    let now = Value::DateTime(context.now());
    draft.set_maybe(special.created_on, Some(now.clone()));
    if let Some(overridden) = special.overridden_created_on
        && let Some(chosen) = draft.get(overridden).cloned()
    {
        draft.set_maybe(special.created_on, Some(chosen));
        draft.set(overridden, Some(now));
    }
    draft.set_maybe(special.created_by, context.caller_reference());
    if let Some(ticket) = special.ticket
        && draft.get(ticket).is_none()
    {
        draft.set(ticket, Some(Value::Text(ticket_number(engine, id).into())));
    }
    draft.compute(engine, context, layout);
    check_needed(layout, &draft)?;
    engine.create(layout, id, Cells::pack(&draft.0), written)?;
    Ok(Done::Created(id))
}

fn change(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
    written: Written,
) -> Result<Done, Refusal> {
    let Some(row) = engine.row(layout, id) else {
        return Err(absent(layout, &RowKey::Id(id)));
    };
    let mut draft = Draft(row.cells.unpacked());
    let written = writable(context, layout, written, Verb::Update)?;
    state::check_update(layout, id, &draft, &written)?;
    parties::check(engine, layout, id, &written)?;
    draft.take(&written);
    state::follow(layout, &mut draft, &written);
    draft.compute(engine, context, layout);
    check_needed(layout, &draft)?;
    engine.update(layout, id, Cells::pack(&draft.0), written)?;
    Ok(Done::Updated(id))
}

/// Which of a column's two switches counts.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Create,
    Update,
}

impl Verb {
    fn allows(self, def: &ColumnDef) -> bool {
        match self {
            Self::Create => def.creatable,
            Self::Update => def.updatable,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Create => "0x80041a01",
            Self::Update => "0x80041a02",
        }
    }
}

/// The columns that can be written; the others are passed over, or refused by the strict switch.
fn writable(
    context: &Context<'_>,
    layout: &Layout,
    written: Written,
    verb: Verb,
) -> Result<Written, Refusal> {
    let mut kept = Written::with_capacity(written.len());
    for (column, value) in written {
        let Some(def) = layout.column(column) else {
            continue;
        };
        if verb.allows(def) || Some(column) == layout.special.state {
            kept.push((column, value));
        } else if context.read_only == ReadOnly::Refuse {
            let name = &def.logical_name;
            let table = &layout.def.logical_name;
            return Err(Refusal::new(
                400,
                verb.code(),
                format!("The column '{name}' of '{table}' is not valid for {verb:?}."),
            ));
        }
    }
    Ok(kept)
}

fn check_needed(layout: &Layout, draft: &Draft) -> Result<(), Refusal> {
    let missing = |column: &&Column| draft.get(**column).is_none();
    let Some(column) = layout.needed.iter().find(missing) else {
        return Ok(());
    };
    let name = layout.column_name(*column);
    let table = &layout.def.logical_name;
    Err(Refusal::new(
        400,
        "0x80040203",
        format!("Invalid argument. The column '{name}' of '{table}' cannot be null."),
    ))
}

fn ticket_number(engine: &Engine, id: Uuid) -> String {
    let random = id.as_u128() & 0xff_ffff;
    format!("CAS-{:05}-{random:06X}", engine.next_version())
}

/// The values of a row that is being written, sorted by column.
pub(crate) struct Draft(Vec<(Column, Value<'static>)>);

impl Draft {
    fn place(&self, column: Column) -> Result<usize, usize> {
        self.0.binary_search_by_key(&column, |(column, _)| *column)
    }

    pub(crate) fn get(&self, column: Column) -> Option<&Value<'static>> {
        let place = self.place(column).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    pub(crate) fn integer(&self, column: Column) -> Option<i32> {
        match self.get(column) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn set(&mut self, column: Column, value: Option<Value<'static>>) {
        match (self.place(column), value) {
            (Ok(place), Some(value)) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = value;
                }
            }
            (Ok(place), None) => {
                self.0.remove(place);
            }
            (Err(place), Some(value)) => self.0.insert(place, (column, value)),
            (Err(_), None) => {}
        }
    }

    fn set_maybe(&mut self, column: Option<Column>, value: Option<Value<'static>>) {
        if let Some(column) = column {
            self.set(column, value);
        }
    }

    fn take(&mut self, written: &Written) {
        for (column, value) in written {
            self.set(*column, value.clone());
        }
    }

    /// What follows from the other columns, and who wrote last.
    fn compute(&mut self, engine: &Engine, context: &Context<'_>, layout: &Layout) {
        let special = &layout.special;
        self.set_maybe(special.modified_on, Some(Value::DateTime(context.now())));
        self.set_maybe(special.modified_by, context.caller_reference());
        if let (Some(parts), Some(full)) = (special.full_name, special.name) {
            let mut name = String::new();
            for part in parts.into_iter().flatten() {
                if let Some(Value::Text(part)) = self.get(part) {
                    if !name.is_empty() {
                        name.push(' ');
                    }
                    name.push_str(part);
                }
            }
            let name = (!name.is_empty()).then(|| Value::Text(name.into()));
            self.set(full, name);
        }
        self.compute_money(engine, context, layout);
    }

    fn compute_money(&mut self, engine: &Engine, context: &Context<'_>, layout: &Layout) {
        let special = &layout.special;
        let has_money = |(money, _): &(Column, Column)| self.get(*money).is_some();
        if !special.money.iter().any(has_money) {
            for (_, base) in &special.money {
                self.set(*base, None);
            }
            return;
        }
        let Some(currency) = special.currency else {
            return;
        };
        if self.get(currency).is_none() {
            self.set(currency, context.currency_reference());
        }
        let rate = match self.get(currency) {
            Some(Value::Reference { id, .. }) => context.exchange_rate(engine, *id),
            _ => rust_decimal::Decimal::ONE,
        };
        self.set_maybe(special.exchange_rate, Some(Value::Decimal(rate)));
        for (money, base) in &special.money {
            let amount = match self.get(*money) {
                Some(Value::Decimal(amount)) => amount.checked_div(rate),
                _ => None,
            };
            self.set(
                *base,
                amount.map(|amount| Value::Decimal(amount.round_dp(4))),
            );
        }
    }
}

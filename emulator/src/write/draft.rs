//! The values of a row while it is being written: defaults, computed columns, amounts.

use uuid::Uuid;

use crate::context::Context;
use crate::engine::{Engine, Written};
use crate::model::Layout;
use crate::table::value::{Column, Value};

/// The values of a row that is being written, sorted by column.
pub(crate) struct Draft(pub(crate) Vec<(Column, Value<'static>)>);

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

    pub(crate) fn take(&mut self, written: &Written) {
        for (column, value) in written {
            self.set(*column, value.clone());
        }
    }

    /// What a row has from its beginning: who made it and when, whose it is, where it lives.
    pub(crate) fn begin(
        &mut self,
        engine: &Engine,
        context: &Context<'_>,
        layout: &Layout,
        id: Uuid,
    ) {
        let special = &layout.special;
        if let Some(owner) = special.owner
            && self.get(owner).is_none()
        {
            self.set(owner, context.caller_reference());
        }
        let unit = context.business_unit_reference();
        self.set_maybe(special.owning_business_unit, unit);
        let now = Value::DateTime(context.now());
        self.set_maybe(special.created_on, Some(now.clone()));
        if let Some(overridden) = special.overridden_created_on
            && let Some(chosen) = self.get(overridden).cloned()
        {
            self.set_maybe(special.created_on, Some(chosen));
            self.set(overridden, Some(now));
        }
        self.set_maybe(special.created_by, context.caller_reference());
        if let Some(ticket) = special.ticket
            && self.get(ticket).is_none()
        {
            let number = ticket_number(engine, id);
            self.set(ticket, Some(Value::Text(number.into())));
        }
        if let Some(partition) = special.partition
            && self.get(partition).is_none()
        {
            self.set(partition, Some(Value::Text(id.to_string().into())));
        }
    }

    /// What follows from the other columns, and who wrote last.
    pub(crate) fn compute(&mut self, engine: &Engine, context: &Context<'_>, layout: &Layout) {
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
        if let Some((customer, repeated)) = special.parents {
            let customer = self.get(customer).cloned();
            for (table, column) in repeated {
                let table = context.model.of_name(table).map(|layout| layout.number);
                let same = customer.clone().filter(|customer| {
                    matches!(customer, Value::Reference { table: it, .. } if Some(*it) == table)
                });
                self.set(column, same);
            }
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

fn ticket_number(engine: &Engine, id: Uuid) -> String {
    let random = id.as_u128() & 0xff_ffff;
    format!("CAS-{:05}-{random:06X}", engine.next_version())
}

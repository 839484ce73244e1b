//! Whether the caller may do to a row what it asks, and whether a business rule lets it.
//!
//! Every create and update passes here, whatever request it came by. Source: Microsoft Learn,
//! "Security roles and privileges": a reference needs Append on the row that refers and `AppendTo`
//! on the one referred to, a new owner needs Assign. Two questions the pages leave open: clearing
//! a reference needs Write alone, and a row that gets the owner it has is not assigned.

use crate::chaos::rules;
use crate::context::Context;
use crate::engine::Written;
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::roles::{Access, BYPASS_LOGIC, BYPASS_PLUGINS, OVERRIDE_CREATED_ON, Rights};
use crate::table::value::{Column, Value};

impl Context<'_> {
    /// Refuses what the caller lacks the privilege for.
    pub(crate) fn require(&self, layout: &Layout, access: Access) -> Result<(), Refusal> {
        self.caller.require(layout, access)
    }

    /// What a request on rows needs at once, whatever its body says; `rest` stands behind the row.
    pub(crate) fn admit_request(
        &self,
        layout: &Layout,
        call: &Call<'_>,
        rest: Option<&str>,
    ) -> Result<(), Refusal> {
        if *self.caller.rights == Rights::Everything {
            return Ok(());
        }
        for (header, privilege) in [
            ("MSCRM.BypassBusinessLogicExecution", BYPASS_LOGIC),
            ("MSCRM.BypassBusinessLogicExecutionStepIds", BYPASS_LOGIC),
            ("MSCRM.BypassCustomPluginExecution", BYPASS_PLUGINS),
        ] {
            if call
                .headers
                .get(header)
                .is_some_and(|value| value != "false")
            {
                self.caller.require_named(privilege)?;
            }
        }
        match (call.method, rest) {
            ("GET", _) => self.require(layout, Access::Read)?,
            ("POST", None) => self.require(layout, Access::Create)?,
            ("DELETE", None) => self.require(layout, Access::Delete)?,
            _ => {}
        }
        if call.headers.preferences().representation {
            self.require(layout, Access::Read)?;
        }
        Ok(())
    }

    /// Whether a row with these values may come to be.
    pub(crate) fn admit_create(&self, layout: &Layout, written: &Written) -> Result<(), Refusal> {
        self.require(layout, Access::Create)?;
        let overridden = layout.special.overridden_created_on;
        if written
            .iter()
            .any(|(column, value)| Some(*column) == overridden && value.is_some())
        {
            self.caller.require_named(OVERRIDE_CREATED_ON)?;
        }
        let caller = self.caller_reference();
        self.admit(layout, written, |_| caller.as_ref())
    }

    /// Whether a row may get these values; `current` tells those that it has.
    pub(crate) fn admit_update<'v>(
        &self,
        layout: &Layout,
        written: &Written,
        current: impl Fn(Column) -> Option<&'v Value<'static>>,
    ) -> Result<(), Refusal> {
        self.require(layout, Access::Write)?;
        self.admit(layout, written, current)
    }

    fn admit<'v>(
        &self,
        layout: &Layout,
        written: &Written,
        current: impl Fn(Column) -> Option<&'v Value<'static>>,
    ) -> Result<(), Refusal> {
        rules::admit(self.rules, layout, written)?;
        for (column, value) in written {
            let Some(Value::Reference { table, .. }) = value else {
                continue;
            };
            if Some(*column) == layout.special.owner {
                if current(*column) != value.as_ref() {
                    self.require(layout, Access::Assign)?;
                }
                continue;
            }
            self.require(layout, Access::Append)?;
            if let Some(target) = self.model.layout(*table) {
                self.require(target, Access::AppendTo)?;
            }
        }
        Ok(())
    }
}

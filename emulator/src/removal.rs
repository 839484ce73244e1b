//! What a delete does beside removing its row.

use uuid::Uuid;

use crate::context::Context;
use crate::engine::Engine;
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::roles::Access;

/// Removes a row that is there.
pub(crate) fn remove(
    engine: &mut Engine,
    context: &Context<'_>,
    layout: &Layout,
    id: Uuid,
) -> Result<(), Refusal> {
    context.require(layout, Access::Delete)?;
    if context.identity.has(id) {
        return Err(Refusal::associated());
    }
    engine.delete(layout, id);
    Ok(())
}

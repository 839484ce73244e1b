//! The `dataverse` room.

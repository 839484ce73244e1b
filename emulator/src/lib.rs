//! A Dataverse that runs on a laptop: strict, journalled, for development and proof.

pub mod metadata;
pub mod schema;

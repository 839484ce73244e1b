//! Why a schema was refused, and what to do about it.

/// Why a schema was refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is not JSON, or not of the expected shape.
    #[error("the schema cannot be read")]
    Json(#[from] serde_json::Error),
    /// A table says something that cannot be.
    #[error("table `{table}`: {problem}")]
    Table {
        /// Logical name.
        table: String,
        /// What is wrong.
        problem: String,
    },
    /// A global choice says something that cannot be.
    #[error("choice `{name}`: {problem}")]
    Choice {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A column says something that cannot be.
    #[error("table `{table}`, column `{column}`: {problem}")]
    Column {
        /// Logical name.
        table: String,
        /// Logical name.
        column: String,
        /// What is wrong.
        problem: String,
    },
}

impl SchemaError {
    /// What the operator does next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Json(_) => "Compare the file with the format of schema files.",
            Self::Table { .. } | Self::Column { .. } | Self::Choice { .. } => {
                "Mend the schema file, then start again."
            }
        }
    }
}

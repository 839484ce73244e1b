//! What a login host answers: a token, or why there is none.
//!
//! Source: Microsoft Learn, "OAuth 2.0 client credentials flow on the Microsoft identity platform".

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A token and its lifetime.
#[derive(Deserialize)]
pub(super) struct Granted {
    #[serde(deserialize_with = "confidential")]
    pub(super) access_token: SecretString,
    #[serde(default)]
    pub(super) expires_in: Seconds,
}

fn confidential<'de, D: serde::Deserializer<'de>>(json: D) -> Result<SecretString, D::Error> {
    String::deserialize(json).map(SecretString::from)
}

/// A number, or a number as text, as older endpoints have it. Some endpoints do not tell.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Seconds {
    Number(u64),
    Text(String),
    Other(IgnoredAny),
}

impl Default for Seconds {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

/// Why there is none.
#[derive(Deserialize)]
pub(super) struct Denied {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl Denied {
    /// The AADSTS number, from the list or from the text.
    pub(super) fn number(&self) -> u64 {
        self.error_codes.first().copied().unwrap_or_else(|| {
            let digits = self
                .error_description
                .split_once("AADSTS")
                .map_or("", |(_, rest)| rest);
            let end = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            digits
                .get(..end)
                .and_then(|digits| digits.parse().ok())
                .unwrap_or_default()
        })
    }

    pub(super) fn code(&self) -> String {
        match self.number() {
            0 => self.error.clone(),
            number => format!("AADSTS{number}"),
        }
    }
}

impl Seconds {
    pub(super) fn duration(&self) -> Duration {
        // A lifetime that cannot be read is taken as short; beyond a day it makes no difference.
        let seconds = match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
            Self::Other(_) => None,
        };
        let seconds = seconds.unwrap_or(600);
        Duration::from_secs(seconds.min(24 * 60 * 60))
    }
}

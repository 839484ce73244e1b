//! Who may import whom, and which crate lives where: the tables that the test holds the sources against.

const ROOMS: &[&str] = &[
    "model",
    "source",
    "mapping",
    "ledger",
    "dispatch",
    "dataverse",
    "report",
];

/// A place of the house, and our own places that it may import.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) imports: &'static [&'static [&'static str]],
    pub(crate) root: Root,
}

/// Whether a place may name what stands directly under the crate's root.
#[derive(PartialEq)]
pub(crate) enum Root {
    Open,
    Closed,
}

const fn room(name: &'static str) -> Place {
    Place {
        name,
        imports: &[&["model"]],
        root: Root::Closed,
    }
}

const fn above(name: &'static str, imports: &'static [&'static [&'static str]]) -> Place {
    Place {
        name,
        imports,
        root: Root::Open,
    }
}

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "model",
        imports: &[],
        root: Root::Closed,
    },
    room("source"),
    room("mapping"),
    room("ledger"),
    room("dispatch"),
    room("dataverse"),
    room("report"),
    room("sandbox"),
    room("snapshot"),
    above("push", &[ROOMS, &["sandbox", "snapshot"]]),
    above("check", &[ROOMS]),
    above("cli", &[ROOMS, &["check", "push", "sandbox", "snapshot"]]),
    above(
        "lib",
        &[ROOMS, &["check", "push", "sandbox", "snapshot", "cli"]],
    ),
    above(
        "main",
        &[ROOMS, &["check", "push", "sandbox", "snapshot", "cli"]],
    ),
];

/// A foreign path, and the places that may name it outside of tests.
pub(crate) const HOMES: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["mapping"]),
    ("arrayvec", &["model"]),
    ("arrow_array", &["model", "source", "mapping"]),
    ("arrow_buffer", &["source"]),
    ("arrow_cast", &["source"]),
    ("arrow_schema", &["model", "source", "mapping"]),
    ("bytes", &["dataverse"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("csv", &["source", "report"]),
    ("encoding_rs", &["source"]),
    ("fastrand", &["dispatch", "ledger"]),
    ("flate2", &["source"]),
    ("glob", &["source"]),
    ("granit_parser", &["mapping"]),
    ("indicatif", &["cli"]),
    ("memchr", &["dataverse"]),
    ("parquet", &["source"]),
    ("percent_encoding", &["dataverse"]),
    ("http_body_util", &["dataverse"]),
    ("reqwest", &["dataverse"]),
    ("rusqlite", &["ledger"]),
    ("rustix", &["ledger"]),
    ("rustls", &["dataverse"]),
    ("secrecy", &["dataverse"]),
    ("strsim", &["mapping", "dataverse"]),
    ("tempfile", &["source", "ledger", "report", "snapshot"]),
    (
        "tokio",
        &["dispatch", "push", "dataverse", "cli", "sandbox"],
    ),
    ("tracing_subscriber", &["cli"]),
    ("unicode_normalization", &["mapping"]),
    ("xxhash_rust", &["mapping", "ledger"]),
    ("zstd", &["source"]),
    (
        "std::env",
        &["mapping", "dataverse", "cli", "main", "push", "sandbox"],
    ),
    (
        "std::fs",
        &[
            "source",
            "mapping",
            "ledger",
            "dataverse",
            "report",
            "push",
            "sandbox",
            "snapshot",
            "cli",
        ],
    ),
    ("std::net", &["mapping", "dataverse", "sandbox", "cli"]),
    ("std::process", &["dataverse", "cli", "main"]),
    (
        "std::thread",
        &["source", "ledger", "dispatch", "push", "cli", "sandbox"],
    ),
];

/// Plain data and plumbing that every place may use.
pub(crate) const ANYWHERE: &[&str] = &[
    "jiff",
    "rust_decimal",
    "serde",
    "serde_json",
    "thiserror",
    "tracing",
    "uuid",
];

/// The emulator is a second witness: these are the only joints, in tests too.
pub(crate) const JOINTS: &[&str] = &["sandbox", "cli"];

pub(crate) const TRAITS: &[&str] = &["Source", "Destination"];

pub(crate) const BANNED: &[&str] = &["manager", "helper", "util", "common", "misc", "processor"];

pub(crate) const MOST_LINES: usize = 400;

//! What is said about the definitions in force.

use serde::{Deserialize, Serialize};

use super::Trouble;

/// A pack file: its name, for messages, and its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackFile {
    /// The file's name.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A pack as this machine has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackView {
    /// Its name.
    pub pack: String,
    /// The version in force; of a pack that is not in force, the one that was published.
    pub version: i64,
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
    /// SHA-256 of its text, in hex.
    pub hash: String,
    /// The hub has published it; else it is the program's own.
    pub published: bool,
    /// Why a published pack is not in force here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Its text, where it was published and is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

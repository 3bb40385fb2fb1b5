//! A scalar value of a field.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a field holds: Automerge's scalars less the counter, which flat documents refuse.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing; a field set to nothing on purpose.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number. Money is counted in 分 (1/100 yuan).
    Int(i64),
    /// A number with a fraction; kept and shown, never summed into a figure.
    Float(f64),
    /// Text; dates are `YYYY-MM-DD`, times `YYYY-MM-DDTHH:MM`.
    Text(String),
    /// Bytes, as other programs may write them; kept and forwarded.
    #[serde(skip)]
    Bytes(Vec<u8>),
    /// Milliseconds since 1970, as other programs may write them; kept and forwarded.
    #[serde(skip)]
    Timestamp(i64),
    /// An unsigned number, as other programs may write them; kept and forwarded.
    #[serde(skip)]
    Uint(u64),
}

impl Value {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole number that fits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Uint(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Whether it is the boolean true: how a set holds an item.
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }
}

/// Two values are the same if they are stored as the same bytes. A float that is not a number, which
/// other programs may write, is so the same as itself: otherwise a document that holds one would
/// differ from its own copy, and every audit would call it damaged.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right))
            | (Self::Timestamp(left), Self::Timestamp(right)) => left == right,
            (Self::Uint(left), Self::Uint(right)) => left == right,
            (Self::Float(left), Self::Float(right)) => left.to_bits() == right.to_bits(),
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// The value as people read it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) | Self::Timestamp(number) => write!(f, "{number}"),
            Self::Uint(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// Only the shape is shown: field contents stay out of logs.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("bool"),
            Self::Int(_) => f.write_str("int"),
            Self::Uint(_) => f.write_str("uint"),
            Self::Float(_) => f.write_str("float"),
            Self::Timestamp(_) => f.write_str("timestamp"),
            Self::Text(text) => write!(f, "text[{}]", text.len()),
            Self::Bytes(bytes) => write!(f, "bytes[{}]", bytes.len()),
        }
    }
}

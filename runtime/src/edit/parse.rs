//! Reading one field of a form by its definition.

use linli_domain::pack::{Field, FieldType};
use linli_domain::value::Value;
use serde_json::Value as Json;

use super::{Content, EditError};

/// Reads a JSON value as the field's type wants it. Texts are accepted for every type, since
/// command lines and spreadsheets have nothing else.
pub fn parse_field(field: &Field, json: &Json) -> Result<Content, EditError> {
    let wrong = || EditError::WrongType { field: field.name.clone(), wanted: field.field_type };
    if field.field_type == FieldType::Set {
        return parse_set(json).map(Content::Set).ok_or_else(wrong);
    }
    let text = match json {
        Json::Null => return Ok(Content::Scalar(None)),
        Json::String(text) if text.trim().is_empty() => return Ok(Content::Scalar(None)),
        Json::String(text) => Some(text.trim()),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    };
    let value = match field.field_type {
        FieldType::Text | FieldType::Entry => text.map(Value::from),
        FieldType::Int | FieldType::Money => {
            json.as_i64().or_else(|| text?.parse().ok()).map(Value::Int)
        }
        FieldType::Bool => json.as_bool().or_else(|| parse_bool(text?)).map(Value::Bool),
        FieldType::Date => text.filter(|text| is_date(text)).map(Value::from),
        FieldType::Datetime => text.filter(|text| is_date_or_time(text)).map(Value::from),
        FieldType::Choice => {
            let text = text.ok_or_else(wrong)?;
            return choice(field, text).map(|value| Content::Scalar(Some(value)));
        }
        FieldType::Set => None,
    };
    value.map(|value| Content::Scalar(Some(value))).ok_or_else(wrong)
}

fn parse_set(json: &Json) -> Option<Vec<String>> {
    let items: Vec<String> = match json {
        Json::Null => Vec::new(),
        Json::String(text) => text.split([',', '，', '、']).map(str::to_owned).collect(),
        Json::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => return None,
    };
    let mut set: Vec<String> = Vec::new();
    for item in items {
        let item = item.trim();
        if !item.is_empty() && !set.iter().any(|known| known == item) {
            set.push(item.to_owned());
        }
    }
    Some(set)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "是" | "1" => Some(true),
        "false" | "no" | "否" | "0" => Some(false),
        _ => None,
    }
}

/// A value, or the label staff know it by.
fn choice(field: &Field, text: &str) -> Result<Value, EditError> {
    field
        .choices
        .iter()
        .find(|choice| choice.value == text || choice.label.zh == text || choice.label.en == text)
        .map(|choice| Value::from(choice.value.as_str()))
        .ok_or_else(|| EditError::UnknownChoice {
            field: field.name.clone(),
            choices: field.choices.iter().map(|choice| choice.value.clone()).collect(),
        })
}

/// `YYYY-MM-DD`, and a day that exists.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A date, or a date with `THH:MM` or `THH:MM:SS`.
pub(super) fn is_date_or_time(text: &str) -> bool {
    is_date(text)
        || (matches!(text.len(), 16 | 19) && text.parse::<jiff::civil::DateTime>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_checked_against_the_calendar() {
        assert!(is_date("2024-02-29"));
        assert!(!is_date("2023-02-29"));
        assert!(!is_date("2024-2-9"));
        assert!(is_date_or_time("2024-02-29T08:30"));
        assert!(!is_date_or_time("2024-02-29T25:30"));
    }

    #[test]
    fn a_set_is_read_from_a_list_or_a_line() {
        let items = vec!["甲".to_owned(), "乙".to_owned()];
        assert_eq!(parse_set(&serde_json::json!("甲、 乙，甲")), Some(items.clone()));
        assert_eq!(parse_set(&serde_json::json!(["甲", "乙"])), Some(items));
        assert_eq!(parse_set(&serde_json::json!([1])), None);
    }
}

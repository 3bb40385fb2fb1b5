//! `field=value` words of a command line as the fields of a form.
//!
//! `name=text` is a text, which the machine reads by the field's type; `name=` empties the field;
//! `name:=json` is given as it stands; a name given twice is a list. It refuses to know any field,
//! and to repeat in a complaint what may be a value.

use std::collections::BTreeMap;

use linli_runtime::ask::Trouble;
use serde_json::Value as Json;

/// Reads the words.
pub(crate) fn read(words: &[String]) -> Result<BTreeMap<String, Json>, Trouble> {
    let mut fields = BTreeMap::new();
    for (at, word) in words.iter().enumerate() {
        let (name, value) = read_one(word).ok_or_else(|| wrong(at + 1))?;
        match fields.entry(name) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(value);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let before = place.get_mut().take();
                let mut items = match before {
                    Json::Array(items) => items,
                    one => vec![one],
                };
                items.push(value);
                place.insert(Json::Array(items));
            }
        }
    }
    Ok(fields)
}

fn read_one(word: &str) -> Option<(String, Json)> {
    let (name, value) = word.split_once('=')?;
    if let Some(name) = name.strip_suffix(':') {
        return Some((name.to_owned(), serde_json::from_str(value).ok()?));
    }
    if name.is_empty() {
        return None;
    }
    let value = if value.is_empty() { Json::Null } else { Json::from(value) };
    Some((name.to_owned(), value))
}

/// A word that is none is named by its place, from 1: a value with a blank in it and no quotes comes
/// as words of its own.
fn wrong(place: usize) -> Trouble {
    Trouble {
        code: "bad-field".into(),
        zh: format!("第 {place} 个“字段=值”写法不对。例如：title=路灯不亮；有空格的值请加引号。"),
        en: format!(
            "Word {place} of the fields is not field=value. For example: title=lamp. Quote a value with blanks."
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(words: &[&str]) -> Result<Json, Trouble> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        read(&words).map(|fields| json!(fields))
    }

    #[test]
    fn texts_emptied_fields_json_and_lists() {
        let read =
            fields(&["title=a=b", "due=", "skills=电工", "skills=水工", "count:=3"]).unwrap();
        let wanted = json!({
            "title": "a=b", "due": null, "skills": ["电工", "水工"], "count": 3,
        });
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_word_without_a_name_is_refused() {
        for wrong in ["title", "=x1", "count:=three"] {
            let trouble = fields(&["place=a", wrong]).unwrap_err();
            assert!(trouble.en.contains("Word 2") && trouble.zh.contains("第 2 个"), "{trouble}");
            let value = wrong.rsplit('=').next().unwrap();
            assert!(value == "title" || !trouble.en.contains(value), "{trouble}");
        }
        let trouble = fields(&["13912345678"]).unwrap_err();
        assert!(!trouble.to_string().contains("13912345678"), "{trouble}");
    }
}

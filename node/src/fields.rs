//! `field=value` words of a command line as the fields of a form.
//!
//! `name=text` is a text, which the machine reads by the field's type; `name=` empties the field;
//! `name:=json` is given as it stands; a name given twice is a list. It refuses to know any field.

use std::collections::BTreeMap;

use linli_runtime::ask::Trouble;
use serde_json::Value as Json;

/// Reads the words.
pub(crate) fn read(words: &[String]) -> Result<BTreeMap<String, Json>, Trouble> {
    let mut fields = BTreeMap::new();
    for word in words {
        let (name, value) = read_one(word)?;
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

fn read_one(word: &str) -> Result<(String, Json), Trouble> {
    let wrong = || Trouble {
        code: "bad-field".into(),
        zh: format!("“{word}”不是“字段=值”。例如：title=路灯不亮"),
        en: format!("`{word}` is not field=value. For example: title=lamp"),
    };
    let (name, value) = word.split_once('=').ok_or_else(wrong)?;
    if let Some(name) = name.strip_suffix(':') {
        let value = serde_json::from_str(value).map_err(|_| wrong())?;
        return Ok((name.to_owned(), value));
    }
    if name.is_empty() {
        return Err(wrong());
    }
    let value = if value.is_empty() { Json::Null } else { Json::from(value) };
    Ok((name.to_owned(), value))
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
        for wrong in ["title", "=x", "count:=three"] {
            let trouble = fields(&[wrong]).unwrap_err();
            assert!(trouble.en.contains(wrong), "{}", trouble.en);
        }
    }
}

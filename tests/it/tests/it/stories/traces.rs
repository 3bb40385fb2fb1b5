//! Traces of a text on a disk: in the files below a folder, as itself or in a usual disguise.
//!
//! It refuses to look through compression; nothing at rest is compressed, which the stories show by
//! finding an open text in the same way.

use std::path::Path;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Files below a folder that hold one of the texts, as `file: text (form)`.
pub(super) fn traces(dir: &Path, texts: &[&str]) -> Vec<String> {
    let forms: Vec<(&str, &str, String)> = texts
        .iter()
        .flat_map(|text| forms(text).map(move |(name, form)| (*text, name, form)))
        .collect();
    let mut found = Vec::new();
    walk(dir, &mut |path, bytes| {
        let held = latin(bytes);
        let hits = forms.iter().filter(|(_, _, form)| held.contains(form.as_str()));
        found.extend(hits.map(|(text, name, _)| format!("{}: {text} ({name})", path.display())));
    });
    found
}

/// The same for an answer or another text in hand.
pub(super) fn traces_in(held: &str, texts: &[&str]) -> Vec<String> {
    texts.iter().filter(|text| held.contains(**text)).map(|text| (*text).to_owned()).collect()
}

/// The byte forms in which a text may lie somewhere.
fn forms(text: &str) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let raw = text.as_bytes();
    let wide: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let escaped: Vec<String> = wide.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let escaped = escaped.concat();
    let mut forms = vec![
        ("UTF-8", latin(raw)),
        ("UTF-16 LE", latin(&little)),
        ("UTF-16 BE", latin(&big)),
        ("hex", HEXLOWER.encode(raw)),
        ("HEX", HEXUPPER.encode(raw)),
        ("escaped", escaped),
    ];
    for (name, encoding) in [("base64", BASE64), ("base64url", BASE64URL)] {
        for shift in 0..3 {
            forms.push((name, inner(&encoding, raw, shift)));
        }
    }
    forms.into_iter()
}

/// The characters of an encoding that depend on the text alone when `shift` bytes of a group of
/// three stand before it.
fn inner(encoding: &data_encoding::Encoding, raw: &[u8], shift: usize) -> String {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(raw);
    let whole = encoding.encode(&padded);
    // Six bits to a character: the first one that holds no bit of what stands before, and the last
    // one that holds no bit of what follows.
    let (first, last) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    whole[first..last].to_owned()
}

/// Bytes as the characters of the same numbers, so that texts can be searched for in them.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn walk(dir: &Path, each: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, each);
        } else {
            each(&path, &std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_disguise_is_seen_through() {
    let dir = tempfile::tempdir().unwrap();
    let text = "段干星野";
    let file = dir.path().join("held");
    let wide = |unit: u16| unit.to_be_bytes();
    let held: [Vec<u8>; 7] = [
        format!("..{text}..").into_bytes(),
        text.encode_utf16().flat_map(wide).collect(),
        BASE64.encode(format!("a{text}b").as_bytes()).into_bytes(),
        BASE64.encode(format!("ab{text}").as_bytes()).into_bytes(),
        BASE64URL.encode(format!("abc{text}..").as_bytes()).into_bytes(),
        HEXLOWER.encode(text.as_bytes()).into_bytes(),
        "\\u6bb5\\u5e72\\u661f\\u91ce".into(),
    ];
    for bytes in held {
        std::fs::write(&file, &bytes).unwrap();
        assert!(!traces(dir.path(), &[text]).is_empty(), "{bytes:?}");
    }
    std::fs::write(&file, "段干星 野").unwrap();
    assert!(traces(dir.path(), &[text]).is_empty());
}

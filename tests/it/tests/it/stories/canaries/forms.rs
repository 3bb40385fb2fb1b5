//! The disguises in which a text may lie somewhere.
//!
//! It refuses initials of pinyin: a few letters are written by chance everywhere.

use data_encoding::{BASE64, BASE64URL, Encoding, HEXLOWER};
use encoding_rs::GB18030;
use pinyin::ToPinyin as _;

/// Every form of a text, with its name. Letters of the Latin alphabet are sought in either case.
pub(super) fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let raw = text.as_bytes();
    let wide: Vec<u16> = text.encode_utf16().collect();
    let reversed: String = text.chars().rev().collect();
    let list: Vec<String> = raw.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("UTF-8", raw.to_vec()),
        ("UTF-16 LE", wide.iter().flat_map(|unit| unit.to_le_bytes()).collect()),
        ("UTF-16 BE", wide.iter().flat_map(|unit| unit.to_be_bytes()).collect()),
        ("GB18030", GB18030.encode(text).0.into_owned()),
        ("reversed", reversed.into_bytes()),
        ("hex", HEXLOWER.encode(raw).into_bytes()),
        ("percent", escaped(raw, "%", |_| true)),
        ("percent but ASCII", escaped(raw, "%", |byte| !byte.is_ascii_alphanumeric())),
        ("byte escapes", escaped(raw, "\\x", |_| true)),
        ("byte escapes but ASCII", escaped(raw, "\\x", |byte| !byte.is_ascii())),
        ("list of bytes", list.join(", ").into_bytes()),
        ("dense list of bytes", list.join(",").into_bytes()),
        ("JSON escapes", wide.iter().flat_map(|unit| json(*unit)).collect()),
        ("JSON escapes but ASCII", {
            let part =
                |unit: &u16| u8::try_from(*unit).map_or_else(|_| json(*unit), |one| vec![one]);
            wide.iter().flat_map(part).collect()
        }),
    ];
    for (name, encoding) in [("base64", BASE64), ("base64url", BASE64URL)] {
        for shift in 0..3 {
            forms.push((name, inner(&encoding, raw, shift)));
        }
    }
    forms.extend(sounds(text));
    forms
}

fn escaped(raw: &[u8], mark: &str, which: impl Fn(u8) -> bool) -> Vec<u8> {
    let part = |byte: &u8| {
        if which(*byte) { format!("{mark}{byte:02x}").into_bytes() } else { vec![*byte] }
    };
    raw.iter().flat_map(part).collect()
}

fn json(unit: u16) -> Vec<u8> {
    format!("\\u{unit:04x}").into_bytes()
}

/// The characters of an encoding that depend on the text alone when `shift` bytes of a group of
/// three stand before it.
fn inner(encoding: &Encoding, raw: &[u8], shift: usize) -> Vec<u8> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(raw);
    let whole = encoding.encode(&padded);
    // Six bits to a character: the first one that holds no bit of what stands before, and the last
    // one that holds no bit of what follows.
    let (first, last) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    whole.as_bytes()[first..last].to_vec()
}

/// How a text in Chinese alone sounds: with and without tones and blanks.
fn sounds(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let Some(sounds) = text.chars().map(|char| char.to_pinyin()).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let spelt = |spell: fn(pinyin::Pinyin) -> &'static str, between: &str| {
        sounds.iter().map(|sound| spell(*sound)).collect::<Vec<_>>().join(between).into_bytes()
    };
    vec![
        ("pinyin", spelt(pinyin::Pinyin::plain, "")),
        ("pinyin with blanks", spelt(pinyin::Pinyin::plain, " ")),
        ("pinyin with tones", spelt(pinyin::Pinyin::with_tone, "")),
        ("pinyin with tones and blanks", spelt(pinyin::Pinyin::with_tone, " ")),
        ("pinyin with numbers", spelt(pinyin::Pinyin::with_tone_num_end, "")),
        ("pinyin with numbers and blanks", spelt(pinyin::Pinyin::with_tone_num_end, " ")),
    ]
}

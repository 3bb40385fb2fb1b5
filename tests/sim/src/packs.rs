//! The packs of the world: those of the house, and for one planted bug a careless variant.
//!
//! It refuses to invent kinds: people work with the real ones.

use include_dir::{Dir, include_dir};
use linli_domain::pack::Registry;

static PACKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../domain/packs");

/// The planted definition: an issue's phone number in the open half.
const CARELESS: (&str, &str, &str) = (
    "issues.toml",
    r#"name = "phone", type = "text", class = "C2""#,
    r#"name = "phone", type = "text", class = "C1""#,
);

/// The real packs.
pub(crate) fn real() -> Registry {
    Registry::builtin()
}

/// The real packs but for one class.
pub(crate) fn leaky() -> Registry {
    let (name, from, to) = CARELESS;
    let texts: Vec<(String, String)> = PACKS
        .files()
        .filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
        .filter(|(path, _)| path.ends_with(".toml"))
        .map(|(path, text)| {
            let text = if path == name { text.replacen(from, to, 1) } else { text.to_owned() };
            (path.to_owned(), text)
        })
        .collect();
    let mut files: Vec<(&str, &str)> =
        texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.sort_unstable();
    Registry::load(&files).expect("the real packs load, and a class may be any")
}

//! The packs of the world: those of the house, and for one planted bug a careless variant.
//!
//! It refuses to invent kinds: people work with the real ones.

use include_dir::{Dir, include_dir};
use linli_domain::pack::{PackHash, Registry};

static PACKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../domain/packs");

/// The planted definition: an issue's phone number in the open half.
const CARELESS: (&str, &str, &str) = (
    "issues.toml",
    r#"name = "phone", type = "text", class = "C2""#,
    r#"name = "phone", type = "text", class = "C1""#,
);

/// How the issues collected are counted in some versions: those that were only accepted, or not.
const COUNTED: (&str, &str) = ("state in ['accepted', 'to_dispatch',", "state in ['to_dispatch',");

/// Before it a later version puts its fields.
const FIRST_FIELD: &str = "  { name = \"number\"";

/// The real packs.
pub(crate) fn real() -> Registry {
    Registry::builtin()
}

/// The real packs but for one class.
pub(crate) fn leaky() -> Registry {
    let (_, from, to) = CARELESS;
    with_issues(|text| text.replacen(from, to, 1))
}

/// The packs of a later release: those of the house with version 2 of the issues pack.
pub(crate) fn newer() -> Registry {
    with_issues(|_| issues(2))
}

/// The issues pack in a version of at least 2, as a hub publishes it. Each counts the issues
/// collected in another way than the one before, and has one field more.
pub(crate) fn issues(version: u64) -> String {
    let text = PACKS.get_file(CARELESS.0).and_then(|file| file.contents_utf8()).unwrap_or_default();
    let text = text.replacen("version = 1", &format!("version = {version}"), 1);
    let (counted, not_counted) = COUNTED;
    let text =
        if version.is_multiple_of(2) { text.replacen(counted, not_counted, 1) } else { text };
    let field = |number: u64| {
        format!(
            "  {{ name = \"later_{number}\", type = \"text\", class = \"C1\", label = {{ zh = \"后加\", \
             en = \"Added\" }} }},\n"
        )
    };
    let fields: String = (2..=version).map(field).collect();
    text.replacen(FIRST_FIELD, &format!("{fields}{FIRST_FIELD}"), 1)
}

/// The hash of the packs of the house with that version of the issues pack.
pub(crate) fn in_force(version: u64) -> PackHash {
    with_issues(|_| issues(version)).hash()
}

/// The packs of the house with another text of the issues pack.
fn with_issues(other: impl Fn(&str) -> String) -> Registry {
    let texts: Vec<(String, String)> = PACKS
        .files()
        .filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
        .filter(|(path, _)| path.ends_with(".toml"))
        .map(|(path, text)| {
            let text = if path == CARELESS.0 { other(text) } else { text.to_owned() };
            (path.to_owned(), text)
        })
        .collect();
    let mut files: Vec<(&str, &str)> =
        texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.sort_unstable();
    Registry::load(&files).expect("the real packs load, also with another text of one of them")
}

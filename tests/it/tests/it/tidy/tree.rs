//! The files of the repository, as text. It refuses to see build output, and skips what is not
//! UTF-8 (golden bytes).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Folders that hold no source: build output, version control, and what a demo leaves behind.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// Paths relative to the workspace, with `/`, and the text of those that are text.
#[derive(Default)]
pub(super) struct Tree {
    texts: BTreeMap<String, String>,
    /// Files that are not text, and folders without their closing slash.
    others: BTreeSet<String>,
}

impl Tree {
    /// Everything under the workspace root.
    pub(super) fn of_workspace() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut tree = Self::default();
        tree.walk(&root, "");
        assert!(tree.has("Cargo.lock") && tree.sources().count() > 20, "this is not the workspace");
        tree
    }

    /// A made-up tree.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { texts: texts.collect(), others: BTreeSet::new() }
    }

    /// Every file that is text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| Path::new(path).extension().is_some_and(|ext| ext == "rs"))
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether a file or folder of this path exists; a closing slash is allowed.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.texts.contains_key(path)
            || self.others.contains(path)
            || self
                .texts
                .keys()
                .any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Whether any file has this name, wherever it lies.
    pub(super) fn has_named(&self, name: &str) -> bool {
        let files = self.texts.keys().chain(&self.others);
        files.into_iter().any(|path| path.rsplit('/').next() == Some(name))
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        // A file may vanish while other tests run; what is gone needs no check.
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"));
                self.others.insert(path);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.texts.insert(path, text);
            } else {
                self.others.insert(path);
            }
        }
    }
}

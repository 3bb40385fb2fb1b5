//! Files that documents name: each has to exist.
//!
//! Looks at inline code that has the form of a path of this repository. It refuses to guess at
//! fenced blocks, which show commands and output.

use super::tree::Tree;

/// Endings by which a name without a folder is taken for a file of ours.
const ENDINGS: [&str; 3] = [".rs", ".md", ".proto"];

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_document(path)) {
        for (line, name) in inline_code(text) {
            if is_path(tree, name) && !exists(tree, name) {
                problems.push(format!("{path}:{line}: there is no `{name}`"));
            }
        }
    }
    problems
}

fn is_document(path: &str) -> bool {
    let at_root = !path.contains('/');
    (at_root || path.starts_with("docs/") || path.starts_with("deploy/"))
        && path.strip_suffix(".md").is_some()
}

/// Whether a piece of inline code means a file or folder: it begins with a room of the house, or
/// ends like a file of ours. `community/x/open` and `kind/id` do neither.
fn is_path(tree: &Tree, name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    let begins = name.split_once('/').is_some_and(|(room, _)| !room.is_empty() && tree.has(room));
    let ends = ENDINGS.iter().any(|end| name.len() > end.len() && name.ends_with(end));
    plain && !name.starts_with('/') && (begins || ends)
}

fn exists(tree: &Tree, name: &str) -> bool {
    tree.has(name) || (!name.contains('/') && tree.has_named(name))
}

/// Inline code with its line number, outside fenced blocks.
fn inline_code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (nth, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| (nth + 1, code)));
        }
    }
    found
}

#[test]
fn a_name_without_a_file_is_found_and_other_code_is_left_alone() {
    let readme = "See `store/src/journal.rs`, `store/`, `limits.rs` and `cargo demo`.\n\
                  `community/x/open`, `/etc/passwd`, `a/b` are no files of ours.\n\
                  ```\n`store/gone.rs`\n```\n\
                  But `store/src/gone.rs`, `store/attic/` and `gone.md` are named.\n";
    let tree = Tree::of(&[
        ("README.md", readme),
        ("store/src/journal.rs", ""),
        ("store/src/limits.rs", ""),
        ("store/notes.md", "`gone.md`"),
    ]);
    assert_eq!(
        problems(&tree),
        [
            "README.md:6: there is no `store/src/gone.rs`",
            "README.md:6: there is no `store/attic/`",
            "README.md:6: there is no `gone.md`",
        ]
    );
}

//! The rules of the house that a compiler does not know: who may import whom, how long a file
//! may be, how it opens, that documents name files which exist, and which words stay out,
//! and which crates.
//!
//! Each check is a function from the tree to a list of problems. It refuses to judge style that
//! rustfmt and clippy can judge.

mod bans;
mod docs;
mod imports;
mod tree;

use tree::Tree;

/// More than this and a file holds more than one noun; split it.
const LINES_MAX: usize = 800;
/// From here on a file is worth a question; listed once something is too long.
const LINES_ASKED: usize = 500;

/// Places of one machine, which mean nothing on another. Written in halves, so that this file
/// passes its own check.
const WORDS_OUT: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("../sha", "red")];

#[test]
fn imports_go_downward_only() {
    assert_tidy(imports::problems(&Tree::of_workspace()));
}

#[test]
fn nothing_banned_is_locked() {
    assert_tidy(bans::problems(&Tree::of_workspace()));
}

#[test]
fn documents_name_files_that_exist() {
    assert_tidy(docs::problems(&Tree::of_workspace()));
}

#[test]
fn no_file_is_too_long() {
    assert_tidy(too_long(&Tree::of_workspace()));
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_tidy(without_opening(&Tree::of_workspace()));
}

#[test]
fn every_test_file_is_run() {
    assert_tidy(forgotten(&Tree::of_workspace()));
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    assert_tidy(words_out(&Tree::of_workspace()));
}

fn assert_tidy(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn too_long(tree: &Tree) -> Vec<String> {
    let mut lengths: Vec<(usize, &str)> =
        tree.sources().map(|(path, text)| (text.lines().count(), path)).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    if lengths.first().is_none_or(|(lines, _)| *lines <= LINES_MAX) {
        return Vec::new();
    }
    let listed = lengths.iter().take_while(|(lines, _)| *lines > LINES_ASKED);
    listed
        .map(|(lines, path)| {
            let verdict = if *lines > LINES_MAX { "split it by noun" } else { "worth a look too" };
            format!("{path}: {lines} lines, {verdict}")
        })
        .collect()
}

fn without_opening(tree: &Tree) -> Vec<String> {
    tree.sources()
        .filter(|(_, text)| {
            // A bare product name says nothing.
            text.lines().next().is_none_or(|line| !line.starts_with("//! ") || line.len() < 16)
        })
        .map(|(path, _)| format!("{path}: open it with `//!` and what it is for"))
        .collect()
}

/// A file beside `main.rs` that it does not declare compiles nowhere and tests nothing.
fn forgotten(tree: &Tree) -> Vec<String> {
    const HERE: &str = "tests/it/tests/it/";
    let main = tree.text(&format!("{HERE}main.rs")).unwrap_or_default();
    tree.sources()
        .filter_map(|(path, _)| path.strip_prefix(HERE)?.strip_suffix(".rs"))
        .filter(|name| *name != "main" && !name.contains('/'))
        .filter(|name| !main.lines().any(|line| line.trim_end() == format!("mod {name};")))
        .map(|name| format!("{HERE}{name}.rs: not declared in main.rs, so it never runs"))
        .collect()
}

fn words_out(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts() {
        for (nth, line) in text.lines().enumerate() {
            for word in WORDS_OUT.iter().filter(|word| line.contains(**word)) {
                problems.push(format!("{path}:{}: `{word}` exists on one machine only", nth + 1));
            }
        }
    }
    problems
}

#[test]
fn the_checks_find_what_they_are_for() {
    let long = format!("//! A long file about one thing.\n{}", "x\n".repeat(LINES_MAX));
    let asked = format!("//! A file about one thing.\n{}", "x\n".repeat(LINES_ASKED));
    let tree = Tree::of(&[
        ("a/long.rs", &long),
        ("a/asked.rs", &asked),
        ("a/bare.rs", "fn main() {}\n"),
        ("tests/it/tests/it/main.rs", "//! The tests of all rooms.\nmod known;\n"),
        ("tests/it/tests/it/known.rs", "//! A story that is told.\n"),
        ("tests/it/tests/it/lost.rs", "//! A story nobody tells.\n"),
        ("notes.md", concat!("see /wo", "rk/notes\nand nothing\n")),
    ]);
    assert_eq!(
        too_long(&tree),
        [
            "a/long.rs: 801 lines, split it by noun".to_owned(),
            "a/asked.rs: 501 lines, worth a look too".to_owned()
        ]
    );
    assert_eq!(without_opening(&tree), ["a/bare.rs: open it with `//!` and what it is for"]);
    assert_eq!(forgotten(&tree).len(), 1, "lost.rs and no other");
    assert!(words_out(&tree)[0].starts_with("notes.md:1: "));
}

//! What may enter the build, as far as the lock file tells: `deny.toml` says it, and `cargo deny`
//! judges the rest, licences and known faults, where it is installed.
//!
//! It refuses to know any crate by name: the names stand in `deny.toml`.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::tree::Tree;

/// How the lock file writes that a crate comes from a registry.
const REGISTRY: &str = "registry+";

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let read = |path: &str| -> Table {
        tree.text(path).expect("the workspace has it").parse().expect("cargo has read it")
    };
    let (deny, lock) = (read("deny.toml"), read("Cargo.lock"));
    let text = |table: &Value, key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let packages: Vec<(String, String, Option<String>)> = list(lock.get("package"))
        .filter_map(|package| {
            let (name, version) = (text(package, "name")?, text(package, "version")?);
            Some((name, version, text(package, "source")))
        })
        .collect();
    let mut problems: Vec<String> = packages
        .iter()
        .filter(|(.., source)| source.as_ref().is_some_and(|source| !source.starts_with(REGISTRY)))
        .map(|(name, version, _)| format!("Cargo.lock: {name} {version} is not of the registry"))
        .collect();
    for banned in list(deny.get("bans").and_then(|bans| bans.get("deny"))) {
        let name = text(banned, "crate").expect("a ban names a crate");
        let versions: BTreeSet<&str> = packages
            .iter()
            .filter(|(known, ..)| *known == name)
            .map(|(_, version, _)| version.as_str())
            .collect();
        let one = banned.get("deny-multiple-versions").and_then(Value::as_bool) == Some(true);
        if versions.len() > usize::from(one) {
            let why = text(banned, "reason").unwrap_or_default();
            problems.push(format!("Cargo.lock: {name} {versions:?} may not enter: {why}"));
        }
    }
    problems
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[test]
fn what_is_banned_is_named() {
    let deny = r#"bans = { deny = [
        { crate = "one", deny-multiple-versions = true, reason = "once" },
        { crate = "none", reason = "never" },
    ] }"#;
    let package = |name: &str, version: &str, source: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n")
    };
    let sound =
        package("one", "1.0.0", REGISTRY) + "[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
    let named = |lock: &str| problems(&Tree::of(&[("deny.toml", deny), ("Cargo.lock", lock)]));
    assert_eq!(named(&sound), [""; 0]);
    let wrong = sound
        + &package("one", "2.0.0", REGISTRY)
        + &package("none", "1.0.0", REGISTRY)
        + &package("far", "1.0.0", "git+https://example.org/far");
    let named = named(&wrong);
    assert_eq!(named.len(), 3, "{named:?}");
    for (problem, name) in named.iter().zip(["far 1.0.0", "one {\"1.0.0\", \"2.0.0\"}", "none"]) {
        assert!(problem.contains(name), "{problem}");
    }
}

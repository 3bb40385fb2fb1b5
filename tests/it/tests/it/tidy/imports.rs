//! The import table: which room may name which, and which may name a part of the world.
//!
//! It reads manifests only, since a crate cannot name what its manifest does not. It refuses a
//! room that has no row yet.

use super::tree::Tree;

/// A room and the rooms of ours it may import. Downward only; `tests/` and `deploy/` may import
/// anything and need no row.
const ROOMS: [(&str, &[&str]); 7] = [
    ("proto", &[]),
    ("domain", &[]),
    ("replica", &["linli-domain"]),
    ("store", &["linli-domain"]),
    ("runtime", &["linli-proto", "linli-domain", "linli-replica", "linli-store"]),
    ("node", &["linli-domain", "linli-replica", "linli-store", "linli-runtime"]),
    ("server", &["linli-domain", "linli-replica", "linli-store", "linli-runtime"]),
];

/// Parts of the world that only some rooms may name.
const PARTS: [(&str, &[&str]); 7] = [
    ("sled", &["store"]),
    ("axum", &["node", "server"]),
    ("tonic", &["proto", "runtime"]),
    ("prost", &["proto", "runtime"]),
    ("rustls", &["runtime"]),
    ("tokio", &["runtime", "node", "server"]),
    ("automerge", &["domain"]),
];

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts() {
        let Some(room) = path.strip_suffix("/Cargo.toml") else { continue };
        if room.starts_with("tests/") || room.starts_with("deploy/") {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            problems.push(format!("{path}: give `{room}` a row in the import table"));
            continue;
        };
        for dependency in dependencies(text) {
            if dependency.starts_with("linli-") && !allowed.contains(&dependency.as_str()) {
                problems.push(format!("{path}: `{room}` may not import `{dependency}`"));
            }
            let part = PARTS.iter().find(|(name, _)| *name == dependency);
            if let Some((_, rooms)) = part.filter(|(_, rooms)| !rooms.contains(&room)) {
                let rooms = rooms.join(", ");
                problems.push(format!("{path}: only {rooms} may name `{dependency}`"));
            }
        }
    }
    problems
}

/// Every dependency a manifest names, under the crate's own name where it is renamed.
fn dependencies(manifest: &str) -> Vec<String> {
    const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let manifest: toml::Table = manifest.parse().expect("cargo has read this manifest");
    let mut holders = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        holders.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut names = Vec::new();
    for holder in holders {
        let tables = TABLES.iter().filter_map(|table| holder.get(*table)?.as_table());
        for (name, wish) in tables.flatten() {
            let package = wish.get("package").and_then(toml::Value::as_str);
            names.push(package.unwrap_or(name).to_owned());
        }
    }
    names
}

#[test]
fn an_upward_import_a_foreign_part_and_an_unknown_room_are_found() {
    let tree = Tree::of(&[
        ("Cargo.toml", "[workspace.dependencies]\nsled = \"0.34\"\n"),
        ("domain/Cargo.toml", "[dependencies]\nserde = \"1\"\n"),
        ("replica/Cargo.toml", "[dev-dependencies]\nlinli-store.workspace = true\n"),
        ("runtime/Cargo.toml", "[target.'cfg(unix)'.dependencies]\ndb = { package = \"sled\" }\n"),
        ("attic/Cargo.toml", "[dependencies]\n"),
        ("tests/sim/Cargo.toml", "[dependencies]\nlinli-runtime.workspace = true\n"),
    ]);
    assert_eq!(
        problems(&tree),
        [
            "attic/Cargo.toml: give `attic` a row in the import table",
            "replica/Cargo.toml: `replica` may not import `linli-store`",
            "runtime/Cargo.toml: only store may name `sled`",
        ]
    );
}

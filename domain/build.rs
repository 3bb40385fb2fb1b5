//! Tells cargo to look at the packs again when one is added, changed or removed.

fn main() {
    println!("cargo::rerun-if-changed=packs");
}

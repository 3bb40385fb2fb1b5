//! Every target over its whole corpus and a few thousand mutations: a finding of a night is a test
//! by day. It refuses a corpus in which nothing is taken, since that would test nothing.

#![allow(clippy::panic, reason = "a helper of tests, called by nothing else")]

use std::path::Path;

use linli_fuzz::runner::{self, Tally, Until};
use linli_fuzz::{TARGETS, Verdict, corpus, target};

/// Mutations of each target.
const INPUTS: u64 = 3_000;
/// Of those that write files.
const INPUTS_SLOW: u64 = 600;
/// Files of all corpora together.
const FILES_MAX: usize = 200;

fn smoke(name: &str, inputs: u64) {
    let target = target(name).expect("a target of this name");
    for input in corpus::read(target).expect("a corpus") {
        let verdict = runner::one(target, &input.bytes);
        let verdict = verdict.unwrap_or_else(|why| panic!("{name}/{}: {why}", input.name));
        let accepted = verdict == Verdict::Accepted;
        let expected = match input.name.split('-').next() {
            Some("honest") => accepted,
            Some("crafted") => !accepted,
            _ => true,
        };
        assert!(expected, "{name}/{}: {verdict:?}", input.name);
    }
    let mut tally = Tally::default();
    let ended = runner::run(target, 1, Until::Inputs(inputs), None, &mut tally);
    if let Err(finding) = ended {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let kept = runner::keep(target, &finding.input, folder).expect("a folder for findings");
        let show = format!("cargo run -p linli-fuzz -- {name} --input {}", kept.display());
        panic!("{name}, after {} inputs: {}\n{show}", finding.after, finding.what);
    }
    let mutants = tally.inputs.min(inputs);
    assert!(tally.accepted * 200 > mutants, "{name} takes nearly nothing: {tally:?}");
    assert!(!tally.refused.is_empty(), "{name} refuses nothing: {tally:?}");
}

#[test]
fn gate() {
    smoke("gate", INPUTS);
}

#[test]
fn frames() {
    smoke("frames", INPUTS);
}

#[test]
fn inflate() {
    smoke("inflate", INPUTS);
}

#[test]
fn journal() {
    smoke("journal", INPUTS);
}

#[test]
fn packs() {
    smoke("packs", INPUTS);
}

#[test]
fn envelope() {
    smoke("envelope", INPUTS);
}

#[test]
fn members() {
    smoke("members", INPUTS);
}

#[test]
fn enrolment() {
    smoke("enrolment", INPUTS);
}

#[test]
fn backup() {
    smoke("backup", INPUTS_SLOW);
}

#[test]
fn rows() {
    smoke("rows", INPUTS);
}

#[test]
fn the_corpora_are_small_and_hold_every_seed() {
    let mut files = 0;
    for target in &TARGETS {
        let inputs = corpus::read(target).expect("a corpus");
        files += inputs.len();
        for input in &inputs {
            let (name, len) = (&input.name, input.bytes.len());
            assert!(len <= corpus::FILE_BYTES_MAX, "{}/{name}: {len} bytes", target.name);
        }
        for (name, bytes) in (target.seeds)() {
            let there = inputs.iter().any(|input| input.name == name);
            let fits = bytes.len() <= corpus::FILE_BYTES_MAX;
            assert!(there || !fits, "{}/{name}: `cargo run -p linli-fuzz -- corpus`", target.name);
        }
    }
    assert!(files < FILES_MAX, "{files} files");
}

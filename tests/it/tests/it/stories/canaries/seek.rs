//! Seeks all canaries in all their disguises at once, also inside what is compressed.
//!
//! Streams of zstd, gzip and zlib are known by how they begin. It refuses to guess at those that do
//! not say what they are (raw deflate, brotli): nothing of ours writes them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use flate2::read::{GzDecoder, ZlibDecoder};

use super::forms::forms;

/// Chance writes less than this.
const FORM_BYTES_MIN: usize = 8;
/// Streams within streams that are looked into.
const DEPTH_MAX: usize = 3;
/// What a stream is inflated to at most: more than anything of ours is packed into.
const INFLATED_MAX: u64 = 64 << 20;

/// Seeks canaries.
pub(super) struct Seeker {
    automaton: AhoCorasick,
    /// Canary and name of its form, by pattern.
    patterns: Vec<(String, &'static str)>,
    tally: Tally,
}

/// What was sought where, and what was found.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) places: usize,
    pub(super) bytes: usize,
    pub(super) streams: usize,
    /// The first find of each canary and form at each place, as a person reads it.
    pub(super) found: Vec<String>,
}

impl Seeker {
    pub(super) fn new(canaries: &[String]) -> Self {
        let mut known = BTreeMap::new();
        for canary in canaries {
            for (name, form) in forms(canary) {
                assert!(form.len() >= FORM_BYTES_MIN, "{canary} is too short as {name}");
                known.entry(form.to_ascii_lowercase()).or_insert((canary.clone(), name));
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(known.keys())
            .unwrap();
        Self { automaton, patterns: known.into_values().collect(), tally: Tally::default() }
    }

    pub(super) fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Everything sought and found since the last call of [`Self::take`].
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The same, and begins anew.
    pub(super) fn take(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Looks into every file below a folder for which `which` holds.
    pub(super) fn folder(&mut self, dir: &Path, which: &dyn Fn(&Path) -> bool) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if !which(&path) {
                continue;
            }
            if path.is_dir() {
                self.folder(&path, which);
            } else {
                self.bytes(&path.display().to_string(), &std::fs::read(&path).unwrap());
                // Names of files lie on a disk, too.
                self.bytes("a file's name", path.to_string_lossy().as_bytes());
            }
        }
    }

    /// Looks into bytes, and into the streams in them.
    pub(super) fn bytes(&mut self, place: &str, bytes: &[u8]) {
        self.tally.places += 1;
        self.tally.bytes += bytes.len();
        self.look(place, bytes, 0);
    }

    fn look(&mut self, place: &str, bytes: &[u8], depth: usize) {
        let mut seen = vec![false; self.patterns.len()];
        for hit in self.automaton.find_overlapping_iter(bytes) {
            if !std::mem::replace(&mut seen[hit.pattern().as_usize()], true) {
                let (canary, form) = &self.patterns[hit.pattern().as_usize()];
                self.tally.found.push(format!("{place}: {canary} ({form})"));
            }
        }
        if depth == DEPTH_MAX {
            return;
        }
        for (at, name, inflated) in streams(bytes) {
            self.tally.streams += 1;
            self.tally.bytes += inflated.len();
            self.look(&format!("{place}, {name} at {at}"), &inflated, depth + 1);
        }
    }
}

/// How streams of zstd, of gzip, and of zlib in each of its levels begin.
const BEGINNINGS: [&[u8]; 6] =
    [b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"];

/// What the streams in `bytes` inflate to, as far as they are whole.
fn streams(bytes: &[u8]) -> Vec<(usize, &'static str, Vec<u8>)> {
    let beginnings = AhoCorasick::new(BEGINNINGS).unwrap();
    let mut found = Vec::new();
    for hit in beginnings.find_overlapping_iter(bytes) {
        let rest = &bytes[hit.start()..];
        let (name, inflated) = match hit.pattern().as_usize() {
            0 => match zstd::stream::read::Decoder::with_buffer(rest) {
                Ok(decoder) => ("zstd", inflate(decoder.single_frame())),
                Err(_) => continue,
            },
            1 => ("gzip", inflate(GzDecoder::new(rest))),
            _ => ("zlib", inflate(ZlibDecoder::new(rest))),
        };
        // What only looks like a stream inflates to nothing.
        if !inflated.is_empty() {
            found.push((hit.start(), name, inflated));
        }
    }
    found
}

/// As much as can be had: the end of a stream may be missing.
fn inflate(stream: impl Read) -> Vec<u8> {
    let mut inflated = Vec::new();
    // A stream that breaks off has given what it had.
    let _broken = stream.take(INFLATED_MAX).read_to_end(&mut inflated);
    inflated
}

/// The search itself is tried: each form of each canary is put everywhere and found there.
#[test]
fn whatever_is_planted_is_found_in_every_place_and_disguise() {
    let mut words = super::words::Words::new(7);
    for _ in 0..10 {
        let _drawn =
            (words.name(), words.phone(), words.id_number(), words.address(), words.note());
    }
    let mut seeker = Seeker::new(words.drawn());
    let mut log = b"nothing personal 13900000000 here".to_vec();
    seeker.bytes("clean", &packed(&log));
    assert!(seeker.take().found.is_empty());
    for canary in words.drawn() {
        for (name, form) in forms(canary) {
            for case in [form.clone(), form.to_ascii_uppercase()] {
                let held = [b"2026-03-06T09:30Z TRACE x: {", &case[..], b"}"].concat();
                seeker.bytes("log", &held);
                let found = seeker.take().found;
                assert!(found.iter().any(|one| one.contains(canary)), "{canary} as {name}");
                log.extend(held);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let data = http2(&zstd(&log));
    // Its last block, of at most 128 KiB, is missing.
    let twice = [&log[..], &vec![b'.'; 200_000]].concat();
    let mut cut_off = zstd(&twice);
    cut_off.truncate(cut_off.len() - 5);
    for (place, bytes) in [
        ("zstd", zstd(&log)),
        ("gzip", gzip(&log)),
        ("zlib", zlib(&log)),
        ("zlib in gzip in zstd", packed(&log)),
        ("cut off", cut_off),
    ] {
        std::fs::write(dir.path().join("held"), [b"head", &bytes[..], b"tail"].concat()).unwrap();
        seeker.folder(dir.path(), &|_| true);
        assert_all_found(&seeker.take(), words.drawn(), place);
    }
    assert!(data.len() > 2 * 1_000, "several frames");
    for bytes in super::relay::parts_of(&data) {
        seeker.bytes("a connection", &bytes);
    }
    assert_all_found(&seeker.take(), words.drawn(), "frames of a connection");
    std::fs::write(dir.path().join(&words.drawn()[1]), "empty").unwrap();
    seeker.folder(dir.path(), &|path| !path.ends_with("held"));
    assert_eq!(seeker.take().found.len(), 1, "a file's name");
}

fn assert_all_found(tally: &Tally, canaries: &[String], place: &str) {
    assert!(tally.streams > 0, "{place}");
    for canary in canaries {
        let chinese = (!canary.is_ascii()).then_some("GB18030");
        for name in ["UTF-8", "UTF-16 LE", "hex", "percent", "reversed"].into_iter().chain(chinese)
        {
            let wanted = format!(": {canary} ({name})");
            assert!(tally.found.iter().any(|one| one.contains(&wanted)), "{place}{wanted}");
        }
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd(&gzip(&zlib(bytes)))
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}

/// Bytes as the messages of a stream of HTTP/2, in small frames between those of another.
fn http2(bytes: &[u8]) -> Vec<u8> {
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, stream: u8, body: &[u8]| {
        let length = body.len() as u16;
        said.extend([0, (length >> 8) as u8, length as u8, kind, 0, 0, 0, 0, stream]);
        said.extend(body);
    };
    for chunk in bytes.chunks(1_000) {
        frame(0, 1, chunk);
        frame(0, 3, b"of another");
        frame(1, 1, b"a head");
    }
    said
}

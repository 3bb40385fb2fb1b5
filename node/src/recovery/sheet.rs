//! What stands on a recovery sheet: a third of the recovery key, two of which give it back.
//!
//! ```text
//! version u8 | set 8 | share 33 | check 8
//! ```
//!
//! 50 bytes are five lines of four groups of four letters, each line with a group that checks it,
//! so that a typing error is named by its line. The set says which sheets belong together and
//! follows from the public keys. One sheet alone says nothing of the key: Shamir's sharing over
//! GF(256), two of three.

use blahaj::{Share, Sharks};
use data_encoding::{Encoding, Specification};
use linli_domain::seal::{DeviceKey, MemberKeys};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Lines on a sheet.
pub(super) const LINES: usize = 5;
/// Sheets that are printed.
pub(super) const SHEETS: usize = 3;
const NEEDED: u8 = 2;
const VERSION: u8 = 1;
const LINE_BYTES: usize = 10;
const LINE_CHARS: usize = 20;
const GROUP_CHARS: usize = 4;
const SET_BYTES: usize = 8;
const SHARE_AT: usize = 1 + SET_BYTES;
const CHECK_AT: usize = SHARE_AT + 33;

/// A sheet's content.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sheet(Zeroizing<[u8; LINES * LINE_BYTES]>);

/// Why sheets give no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SheetError {
    /// A line, counted from 1, is not as it was printed.
    Line(usize),
    /// Other than five lines.
    Lines(usize),
    /// The lines are each right and not of one sheet, or of a newer release.
    Damaged,
    /// One sheet twice.
    Same,
    /// Sheets of two sets: two communities, or two printings.
    Mixed,
}

impl Sheet {
    /// Divides a recovery key. `rng` must be the system's.
    pub(super) fn split(seed: &[u8; 32], rng: &mut impl rand::CryptoRng) -> [Self; SHEETS] {
        let set = set_of(&DeviceKey::derive(seed).keys());
        let shares: Vec<Share> = Sharks(NEEDED).dealer_rng(seed, rng).take(SHEETS).collect();
        std::array::from_fn(|nth| {
            let share = Zeroizing::new(Vec::from(&shares[nth]));
            let mut bytes = Zeroizing::new([0; LINES * LINE_BYTES]);
            bytes[0] = VERSION;
            bytes[1..SHARE_AT].copy_from_slice(&set);
            bytes[SHARE_AT..CHECK_AT].copy_from_slice(&share);
            let check = Sha256::digest(&bytes[..CHECK_AT]);
            bytes[CHECK_AT..].copy_from_slice(&check[..8]);
            Self(bytes)
        })
    }

    /// The key that two sheets hold.
    pub(super) fn join(&self, other: &Self) -> Result<Zeroizing<[u8; 32]>, SheetError> {
        if self.set() != other.set() {
            return Err(SheetError::Mixed);
        }
        if self == other {
            return Err(SheetError::Same);
        }
        let share = |sheet: &Self| Share::try_from(&sheet.0[SHARE_AT..CHECK_AT]);
        let (Ok(one), Ok(two)) = (share(self), share(other)) else {
            return Err(SheetError::Damaged);
        };
        let seed = Sharks(NEEDED).recover(&[one, two]).map(Zeroizing::new);
        let seed = seed.map_err(|_| SheetError::Damaged)?;
        let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| SheetError::Damaged)?;
        let right = set_of(&DeviceKey::derive(seed).keys()) == self.set();
        if right { Ok(Zeroizing::new(*seed)) } else { Err(SheetError::Damaged) }
    }

    /// The lines as they are printed.
    pub(super) fn lines(&self) -> [String; LINES] {
        std::array::from_fn(|nth| {
            let bytes = &self.0[nth * LINE_BYTES..(nth + 1) * LINE_BYTES];
            let text = letters().encode(bytes) + &check(nth, bytes);
            let groups = text.as_bytes().chunks(GROUP_CHARS).map(String::from_utf8_lossy);
            groups.collect::<Vec<_>>().join(" ")
        })
    }

    /// Reads lines as they were typed.
    pub(super) fn read<T: AsRef<str>>(lines: &[T]) -> Result<Self, SheetError> {
        if lines.len() != LINES {
            return Err(SheetError::Lines(lines.len()));
        }
        let mut bytes = Zeroizing::new([0; LINES * LINE_BYTES]);
        for (nth, line) in lines.iter().enumerate() {
            let line = read_line(nth, line.as_ref())?;
            bytes[nth * LINE_BYTES..(nth + 1) * LINE_BYTES].copy_from_slice(&line);
        }
        let check = Sha256::digest(&bytes[..CHECK_AT]);
        let sound = bytes[0] == VERSION && bytes[CHECK_AT..] == check[..8];
        if sound { Ok(Self(bytes)) } else { Err(SheetError::Damaged) }
    }

    fn set(&self) -> &[u8] {
        &self.0[1..SHARE_AT]
    }
}

/// Reads the line `nth`, counted from 0. Spaces, hyphens and case do not matter, and O, I and L
/// are read as the digits they look like.
pub(super) fn read_line(nth: usize, line: &str) -> Result<Zeroizing<Vec<u8>>, SheetError> {
    let wrong = SheetError::Line(nth + 1);
    let text: Zeroizing<String> =
        Zeroizing::new(line.chars().filter(|c| !c.is_whitespace() && *c != '-').collect());
    if text.len() != LINE_CHARS || !text.is_ascii() {
        return Err(wrong);
    }
    let (content, typed) = text.split_at(LINE_CHARS - GROUP_CHARS);
    let bytes = letters().decode(content.as_bytes()).map(Zeroizing::new).map_err(|_| wrong)?;
    let plain = |group: &str| {
        let plain = |c: char| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        group.chars().map(plain).collect::<String>()
    };
    if plain(typed) == check(nth, &bytes) { Ok(bytes) } else { Err(wrong) }
}

/// The group that checks a line and its place: 20 bits of a hash.
fn check(nth: usize, bytes: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(b"linli sheet line")
        .chain_update([nth as u8])
        .chain_update(bytes)
        .finalize();
    letters().encode(&hash[..5])[..GROUP_CHARS].to_owned()
}

fn set_of(keys: &MemberKeys) -> [u8; SET_BYTES] {
    let hash = Sha256::new()
        .chain_update(b"linli recovery set")
        .chain_update(keys.sealing.0)
        .chain_update(keys.signing.0)
        .finalize();
    std::array::from_fn(|at| hash[at])
}

/// Digits and letters without those that look like another.
fn letters() -> Encoding {
    let mut letters = Specification::new();
    letters.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    letters.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    letters.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    letters.encoding().expect("32 letters, each once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheets(seed: u8) -> [Sheet; SHEETS] {
        Sheet::split(&[seed; 32], &mut rand::rng())
    }

    #[test]
    fn any_two_sheets_give_the_key_and_one_alone_does_not() {
        let [one, two, three] = sheets(7);
        for (a, b) in [(&one, &two), (&three, &one), (&two, &three)] {
            assert_eq!(a.join(b).as_deref(), Ok(&[7; 32]));
        }
        assert_eq!(one.join(&one).err(), Some(SheetError::Same));
        assert_eq!(one.join(&sheets(8)[1]).err(), Some(SheetError::Mixed));
        // Two printings of one key would have one set; their shares do not fit each other.
        assert_eq!(one.join(&sheets(7)[1]).err(), Some(SheetError::Damaged));
    }

    #[test]
    fn a_sheet_survives_typing_and_each_error_is_named_by_its_line() {
        let sheet = &sheets(7)[0];
        let lines = sheet.lines();
        assert!(Sheet::read(&lines).is_ok_and(|read| read == *sheet));
        let sloppy = lines
            .clone()
            .map(|line| line.to_lowercase().replace(' ', "-").replace('0', "o").replace('1', "l"));
        assert!(Sheet::read(&sloppy).is_ok_and(|read| read == *sheet));
        for (nth, line) in lines.iter().enumerate() {
            for at in (0..line.len()).filter(|at| line.as_bytes()[*at] != b' ') {
                let other = if line.as_bytes()[at] == b'7' { "8" } else { "7" };
                let mut wrong = lines.clone();
                wrong[nth].replace_range(at..=at, other);
                assert_eq!(Sheet::read(&wrong).err(), Some(SheetError::Line(nth + 1)), "{at}");
            }
        }
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert_eq!(Sheet::read(&swapped).err(), Some(SheetError::Line(2)));
        assert_eq!(Sheet::read(&lines[..4]).err(), Some(SheetError::Lines(4)));
        let mut patched = sheets(7)[1].lines();
        patched[4].clone_from(&lines[4]);
        assert_eq!(Sheet::read(&patched).err(), Some(SheetError::Damaged));
    }
}

//! A revocation as it reaches desks: the authority's signed word that a machine is shut out.
//!
//! A hub's deny list is a file of its own. Desks that meet without the hub need it too, and trust no
//! neighbour to tell it. So each revocation travels as an entry, and counts for its signature and
//! never for who wrote or carried it. Names are given once, so it holds for ever: there is no word
//! that takes it back. A list of serial numbers, as certificate authorities publish it, would miss
//! the earlier certificates of a machine, which are valid as long as the latest.

use data_encoding::BASE64;
use linli_domain::id::{EntryId, PeerName};

use crate::authority::{Authority, AuthorityError, Leaf};
use crate::limits::REVOCATION_BYTES_MAX;
use crate::tls::has_signed;

/// The kind of the entries.
pub(crate) const KIND: &str = "revocation";
/// Their one field.
pub(crate) const STATEMENT: &str = "statement";
/// Said before what is signed, so that no signature of the authority ever means something else.
const SIGNED: &str = "linli revocation\0";

/// The authority's word that a machine is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The machine.
    pub peer: PeerName,
    /// When, in seconds since 1970, by the hub's clock; for people.
    pub at: u64,
    text: String,
}

impl Revocation {
    /// Signs one.
    pub fn sign(authority: &Authority, peer: &PeerName, at: u64) -> Result<Self, AuthorityError> {
        let said = format!("{peer} {at}");
        let signature = authority.sign_word(format!("{SIGNED}{said}").as_bytes())?;
        let text = format!("{said} {}", BASE64.encode(&signature));
        Ok(Self { peer: peer.clone(), at, text })
    }

    /// Reads what [`Self::text`] gave; `None` unless this authority has signed it.
    pub fn read(text: &str, authority: &Leaf) -> Option<Self> {
        let (said, signature) = text.rsplit_once(' ')?;
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        let one = Self::read_kept(text)?;
        let word = format!("{SIGNED}{said}");
        has_signed(authority, word.as_bytes(), &signature).then_some(one)
    }

    /// Reads one that was verified before it was kept.
    pub(crate) fn read_kept(text: &str) -> Option<Self> {
        if text.len() > REVOCATION_BYTES_MAX {
            return None;
        }
        let mut words = text.split(' ');
        let (peer, at) = (PeerName::parse(words.next()?).ok()?, words.next()?.parse().ok()?);
        Some(Self { peer, at, text: text.to_owned() })
    }

    /// `<name> <seconds since 1970> <signature in base64>`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The entry it stands in: `revocation/<machine>`.
    pub(crate) fn entry(&self) -> EntryId {
        EntryId::new(KIND, self.peer.machine.as_str()).expect("32 letters and digits are an id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn authority(dir: &std::path::Path) -> (Authority, Leaf) {
        let hub = PeerName::parse("jiangbei/hongqi/-/hub").unwrap();
        let authority = Authority::create(dir, &hub, NOW).unwrap();
        let leaf = Leaf::read(authority.certificate()).unwrap();
        (authority, leaf)
    }

    #[test]
    fn only_what_the_authority_has_signed_is_read_and_nothing_near_it() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ((authority, leaf), (other, other_leaf)) =
            (authority(one.path()), authority(two.path()));
        let peer = PeerName::parse("jiangbei/hongqi/anping/desk1").unwrap();
        let word = Revocation::sign(&authority, &peer, NOW).unwrap();
        assert_eq!(Revocation::read(word.text(), &leaf).as_ref(), Some(&word));
        assert_eq!((word.peer.clone(), word.at), (peer.clone(), NOW));
        assert_eq!(word.entry().as_str(), "revocation/desk1");
        // Another authority of the same name has another key.
        assert_eq!(Revocation::read(word.text(), &other_leaf), None);
        let theirs = Revocation::sign(&other, &peer, NOW).unwrap();
        assert_eq!(Revocation::read(theirs.text(), &leaf), None);
        for near in [
            word.text().replace("desk1", "desk2"),
            word.text().replace(" 1790000000 ", " 1790000001 "),
            word.text().replace(" 1790000000 ", " 1790000000  "),
            format!("{} ", word.text()),
            word.text()[..word.text().len() - 4].to_owned(),
            peer.to_string(),
            String::new(),
            format!("{peer} {NOW} {}", "A".repeat(400)),
        ] {
            assert_eq!(Revocation::read(&near, &leaf), None, "{near}");
        }
    }

    #[test]
    fn a_certificate_request_signed_by_a_desk_is_no_word_of_the_authority() {
        let dir = tempfile::tempdir().unwrap();
        let (_, leaf) = authority(dir.path());
        let key = crate::authority::MachineKey::generate().unwrap();
        let said = format!("jiangbei/hongqi/anping/desk1 {NOW}");
        let signature = key.sign(format!("{SIGNED}{said}").as_bytes()).unwrap();
        let text = format!("{said} {}", BASE64.encode(&signature));
        assert_eq!(Revocation::read(&text, &leaf), None);
    }
}

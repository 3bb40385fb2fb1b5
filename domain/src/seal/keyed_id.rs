//! Ids derived from personal parts, so that two desks offline open one entry and a hub that sees
//! the id learns nothing about the person.
//!
//! It refuses to use the sealing key: an id has to stay the same when the key epoch changes.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::framed;
use crate::id::CommunityId;

/// The id of an entry whose parts are personal: 26 characters of a-z and 2-7, the first 130 bits
/// of HMAC-SHA256 over community, kind and parts. The same parts give the same id on every desk
/// of the community, and nothing to anyone without the id secret.
pub fn keyed_id(
    id_secret: &[u8; 32],
    community: &CommunityId,
    kind: &str,
    parts: &[&str],
) -> String {
    let mut named = vec![community.as_str().as_bytes(), kind.as_bytes()];
    named.extend(parts.iter().map(|part| part.as_bytes()));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(id_secret).expect("HMAC takes a key of any length");
    mac.update(b"linli keyed id");
    mac.update(&framed(&named));
    let mut id = BASE32_NOPAD.encode(&mac.finalize().into_bytes());
    id.truncate(26);
    id.make_ascii_lowercase();
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntryId;

    fn id(secret: u8, community: &str, kind: &str, parts: &[&str]) -> String {
        keyed_id(&[secret; 32], &CommunityId::parse(community).unwrap(), kind, parts)
    }

    #[test]
    fn the_same_parts_give_the_same_valid_id_and_any_other_part_another() {
        let base = id(1, "yili", "care", &["wang", "3-2-501"]);
        assert_eq!(base, "dg525ctflhbs6ypm2bhfu5vqku", "ids are for ever");
        assert_eq!(base, id(1, "yili", "care", &["wang", "3-2-501"]));
        assert!(EntryId::new("care", &base).is_ok());
        for other in [
            id(2, "yili", "care", &["wang", "3-2-501"]),
            id(1, "chunhui", "care", &["wang", "3-2-501"]),
            id(1, "yili", "visit", &["wang", "3-2-501"]),
            id(1, "yili", "care", &["wang3", "-2-501"]),
            id(1, "yili", "care", &["wang", "3-2-501", ""]),
            id(1, "yili", "care", &["3-2-501", "wang"]),
        ] {
            assert_ne!(base, other);
        }
    }
}

//! The records inside a bundle: a frame as on a link, and to whom it is said.
//!
//! ```text
//! length u8 | name, empty for everybody | length u32 | frame
//! ```

use std::io::{self, Read, Write};

use data_encoding::BASE64;
use linli_domain::id::PeerName;
use linli_proto::codec::{PARTS_MAX, check_parts};
use linli_proto::v1;
use linli_replica::frame::Frame;
use prost::Message as _;

use crate::limits::MESSAGE_BYTES_MAX;
use crate::wire;

/// A frame of a bundle.
#[derive(Debug)]
pub struct Record {
    /// To whom it is said; `None` for everybody.
    pub to: Option<PeerName>,
    /// The frame.
    pub frame: Frame,
    /// The same as the local API takes it.
    pub text: String,
    /// Bytes it takes in the file.
    pub bytes: usize,
}

/// A frame as the local API carries it.
pub fn text_of(frame: Frame) -> String {
    BASE64.encode(&wire::encode(frame).encode_to_vec())
}

/// The frame of such a text; `None` if it breaks a form or a bound.
pub fn frame_of(text: &str) -> Option<Frame> {
    decode(&BASE64.decode(text.as_bytes()).ok()?)
}

fn decode(bytes: &[u8]) -> Option<Frame> {
    if bytes.len() > MESSAGE_BYTES_MAX || check_parts(bytes, PARTS_MAX).is_err() {
        return None;
    }
    wire::decode(v1::Envelope::decode(bytes).ok()?).ok()
}

pub(super) fn write(out: &mut impl Write, to: Option<&PeerName>, text: &str) -> io::Result<()> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(io::Error::other)?;
    let name = to.map(ToString::to_string).unwrap_or_default();
    let len = u8::try_from(name.len()).map_err(io::Error::other)?;
    out.write_all(&[len])?;
    out.write_all(name.as_bytes())?;
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(&bytes)
}

pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Record>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut len = [0];
    if from.read(&mut len)? == 0 {
        return Ok(None);
    }
    let mut name = vec![0; usize::from(len[0])];
    from.read_exact(&mut name)?;
    let name = String::from_utf8(name).map_err(|_| invalid())?;
    let to = match name.as_str() {
        "" => None,
        name => Some(PeerName::parse(name).map_err(|_| invalid())?),
    };
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > MESSAGE_BYTES_MAX {
        return Err(invalid());
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    let frame = decode(&bytes).ok_or_else(invalid)?;
    Ok(Some(Record { to, frame, text: BASE64.encode(&bytes), bytes: len }))
}

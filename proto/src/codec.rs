//! The codec of our services: protobuf, with a bound on the number of parts of a message.
//!
//! An empty part costs a sender two bytes and a reader up to 160, so a cap on bytes alone lets a
//! message of 1 MiB take 80 MB. The parts are counted first, and a message with too many is
//! refused before anything is allocated for them.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Fields in one message, in itself and in its direct parts. The longest legal list is one of
/// 4,096 author grants; with 160 bytes a part the bound holds a message to 1.3 MB of memory.
pub const PARTS_MAX: usize = 8_192;

/// Bytes of a call's buffer when nothing is under way; it grows as it must. A link that is idle keeps
/// two of them, one each way.
const BUFFER_BYTES: usize = 1 << 10;
/// Messages that wait are put together up to so many bytes; tonic's own measure.
const TOGETHER_BYTES: usize = 32 << 10;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, TOGETHER_BYTES)
}

/// Encodes `T`, decodes `U`.
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for BoundedCodec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedCodec")
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = BoundedEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        BoundedEncoder(ProstEncoder::new(buffers()))
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::new(buffers()))
    }
}

/// Encodes into a buffer that is as large as the message from the start.
#[derive(Debug)]
pub struct BoundedEncoder<T>(ProstEncoder<T>);

impl<T: Message> Encoder for BoundedEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(message.encoded_len());
        self.0.encode(message, buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// Decodes a message of at most [`PARTS_MAX`] parts.
#[derive(Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // A message lies in one piece: the transport gathers it before it calls.
        if buf.chunk().len() != buf.remaining() {
            return Err(Status::internal("a message came in pieces"));
        }
        check_parts(buf.chunk(), PARTS_MAX)
            .map_err(|_| Status::out_of_range(format!("more than {PARTS_MAX} parts")))?;
        self.0.decode(buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// A message with more parts than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyParts;

/// Counts the fields of a message and of its direct parts, up to `max`.
///
/// Text and bytes are counted as if they were parts, which can only count too many, and by no
/// more than one for two of their bytes. Of a malformed message what could be read is counted;
/// the real decoder stops at the same place.
pub fn check_parts(message: &[u8], max: usize) -> Result<(), TooManyParts> {
    count_fields(message, 1, max).map(|_| ())
}

fn count_fields(message: &[u8], deeper: u8, max: usize) -> Result<usize, TooManyParts> {
    let mut rest = message;
    let mut count = 0;
    while rest.has_remaining() {
        let Ok((tag, wire)) = decode_key(&mut rest) else { break };
        count += 1;
        if wire == WireType::LengthDelimited {
            let Some(part) = decode_varint(&mut rest)
                .ok()
                .and_then(|len| usize::try_from(len).ok())
                .and_then(|len| rest.get(..len))
            else {
                break;
            };
            if deeper > 0 {
                count += count_fields(part, deeper - 1, max.saturating_sub(count))?;
            }
            rest.advance(part.len());
        } else if skip_field(wire, tag, &mut rest, DecodeContext::default()).is_err() {
            break;
        }
        if count > max {
            return Err(TooManyParts);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    fn hello(spaces: usize) -> Vec<u8> {
        let hello =
            v1::Hello { spaces: vec![v1::SpaceState::default(); spaces], ..Default::default() };
        v1::Envelope { version: 1, frame: Some(v1::envelope::Frame::Hello(hello)) }.encode_to_vec()
    }

    #[test]
    fn parts_of_parts_are_counted() {
        // The version, the hello, and its spaces.
        assert_eq!(count_fields(&hello(10), 1, 100), Ok(12));
        assert_eq!(check_parts(&hello(10), 12), Ok(()));
        assert_eq!(check_parts(&hello(10), 11), Err(TooManyParts));
    }

    #[test]
    fn a_full_message_of_empty_parts_is_refused() {
        assert_eq!(check_parts(&hello(500_000), PARTS_MAX), Err(TooManyParts));
    }

    #[test]
    fn a_large_body_is_one_part() {
        let batch = v1::Batch { body: vec![8; 600_000].into(), ..Default::default() };
        let envelope = v1::Envelope { version: 1, frame: Some(v1::envelope::Frame::Batch(batch)) };
        assert_eq!(count_fields(&envelope.encode_to_vec(), 1, 100), Ok(3));
    }

    #[test]
    fn a_cut_message_is_left_to_the_decoder() {
        let whole = hello(3);
        for end in 0..whole.len() {
            assert_eq!(check_parts(&whole[..end], 100), Ok(()));
        }
    }
}

//! HTTP/2 by hand (RFC 9113, 7541): what no client library would write.

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// Streams of clients have odd numbers.
const FIRST_STREAM: u32 = 1;

/// The preface and settings: the window that every stream begins with.
pub(crate) fn opening(window: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut setting = vec![0, 4];
    setting.extend(window.to_be_bytes());
    frame(&mut bytes, SETTINGS, 0, 0, &setting);
    // The other side's settings, acknowledged before they come.
    frame(&mut bytes, SETTINGS, 1, 0, &[]);
    bytes
}

/// Opens a link on a stream and says an empty hello.
pub(crate) fn call(stream: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, HEADERS, END_HEADERS, stream, &headers());
    // Version 1 and a hello: an epoch of sixteen bytes, a clock, no spaces.
    let mut hello = vec![10, 16];
    hello.extend([6; 16]);
    hello.push(17);
    hello.extend(1_u64.to_le_bytes());
    let mut message = vec![8, 1, 18, hello.len() as u8];
    message.extend(hello);
    // gRPC: not compressed, four bytes of length.
    let mut data = vec![0, 0, 0, 0, message.len() as u8];
    data.extend(message);
    frame(&mut bytes, DATA, 0, stream, &data);
    bytes
}

/// Streams that are opened and reset, after so many that were before.
pub(crate) fn resets(before: u32, many: u32) -> Vec<u8> {
    let (mut bytes, block) = (Vec::new(), headers());
    for nth in before..before + many {
        let stream = FIRST_STREAM + 2 * nth;
        frame(&mut bytes, HEADERS, END_HEADERS, stream, &block);
        frame(&mut bytes, RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    bytes
}

/// The beginning of headers that go on.
pub(crate) fn endless_headers() -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, HEADERS, 0, FIRST_STREAM, &headers());
    bytes
}

/// More of these headers.
pub(crate) fn continuation() -> Vec<u8> {
    let mut block = Vec::new();
    while block.len() < 16_000 {
        literal(&mut block, "x-more", &"m".repeat(100));
    }
    let mut bytes = Vec::new();
    frame(&mut bytes, CONTINUATION, 0, FIRST_STREAM, &block);
    bytes
}

/// Lets so many bytes more through on a stream.
pub(crate) fn window(stream: u32, more: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
    bytes
}

/// Signs of life that ask for answers.
pub(crate) fn pings(many: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..many {
        frame(&mut bytes, PING, 0, 0, &[7; 8]);
    }
    bytes
}

fn headers() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/linli.v1.Replication/Link"),
        (":authority", "linli"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        literal(&mut block, name, value);
    }
    block
}

/// A header without indexing and without Huffman; both texts are shorter than 127 bytes.
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.extend([0, name.len() as u8]);
    block.extend(name.as_bytes());
    block.push(value.len() as u8);
    block.extend(value.as_bytes());
}

fn frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    into.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    into.extend([kind, flags]);
    into.extend(stream.to_be_bytes());
    into.extend(payload);
}

//! The wire: messages and services generated from `linli.proto`.
//!
//! It refuses to know what the messages mean; `runtime` turns them into frames and back.

pub mod codec;

/// Messages and services of package `linli.v1`.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub
)]
pub mod v1 {
    tonic::include_proto!("linli.v1");
}

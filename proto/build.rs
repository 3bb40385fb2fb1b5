//! Turns `linli.proto` into Rust with a compiler written in Rust, so that no machine needs protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=linli.proto");
    let files = protox::compile(["linli.proto"], ["."])?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::BoundedCodec")
        .compile_fds(files)?;
    Ok(())
}

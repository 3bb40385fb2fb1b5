//! What Linli knows about ledgers, without any way to reach a clock, a disk, a socket or chance.
//!
//! Entries and their documents, changes and the gate that admits them, packs of definitions,
//! workflows, figures and sealing. Nothing here reads time or randomness: both come in as
//! parameters. It refuses to know how documents are stored or sent.

pub mod change;
pub mod digest;
pub mod doc;
pub mod entry;
pub mod figure;
pub mod gate;
pub mod grid;
pub mod hlc;
pub mod id;
pub mod limits;
pub mod pack;
pub mod seal;
pub mod value;
pub mod workflow;

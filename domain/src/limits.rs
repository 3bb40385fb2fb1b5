//! The bounds of a change, a document and a name, with their arithmetic.

/// Largest change, plain form, in bytes. An entry is about 1 KB; 64 KB of text is the longest
/// single value; four of those leave room for keys.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// Most operations in one change. A form has some dozens of fields and steps.
pub const CHANGE_OPS_MAX: usize = 512;
/// Longest key in bytes: `field:item` with a 63-byte id as the item.
pub const KEY_BYTES_MAX: usize = 128;
/// Longest text value in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most changes one document may hold: an entry edited hourly for a year.
pub const DOC_CHANGES_MAX: usize = 10_000;
/// Most bytes of live values in one document.
pub const DOC_LIVE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most dependencies a change may name: as many as desks can have edited apart, with room.
pub const CHANGE_DEPS_MAX: usize = 64;
/// Most other actors a change may name.
pub const CHANGE_ACTORS_MAX: usize = 64;
/// Greatest op counter; Automerge keeps them in 32 bits.
pub const OP_COUNTER_MAX: u64 = (1 << 31) - 1;

/// Largest statement of a member list: a wrapped ring of 37 KB, or a new key wrapped to 256
/// members at 118 bytes, 30 KB, with its head. As base64, 55 KB, it fits a text value.
pub const STATEMENT_BYTES_MAX: usize = 40 * 1024;
/// Most statements a statement may follow: as many as desks can have written apart, with room.
pub const STATEMENT_PARENTS_MAX: usize = 64;
/// Most members that one removal wraps its key to.
pub const STATEMENT_WRAPS_MAX: usize = 256;
/// Most statements in a member list: a machine lost and replaced each week for twenty years is
/// 2,080. Who follows whom is kept as bits, 2 MB at most.
pub const STATEMENTS_MAX: usize = 4_096;
/// Statements kept that came before one they follow: 10 MB at their largest.
pub const STATEMENTS_WAITING_MAX: usize = 256;
/// Longest formula of a pack, in bytes: seven times the longest of ours.
pub const FORMULA_BYTES_MAX: usize = 1024;
/// Most signs in a formula that can put one part into another; the most of ours is 30. Parts are
/// walked recursively, at up to 2 KB of stack each: half a megabyte of the two a thread has.
pub const FORMULA_SIGNS_MAX: usize = 256;
/// Farthest time a change may claim, in milliseconds from 1970 either way: 285,000 years, far beyond
/// any wrong clock. Automerge stores differences of times, which must not overflow 64 bits.
pub const CHANGE_MILLIS_MAX: u64 = 1 << 53;

//! The bounds of frames, windows and waiting rooms, with their arithmetic.

/// Most changes in one batch.
pub const BATCH_ITEMS_MAX: usize = 500;
/// Most change bytes in one batch, before compression. Eight batches in flight are 4 MB a link.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Wrapped keys beside one change: the right one, and one that a machine that cannot tell them apart
/// was handed in its place.
pub const KEYS_PER_ITEM_MAX: usize = 2;
/// Batches sent and not yet acknowledged, per space and link.
pub const BATCHES_IN_FLIGHT_MAX: usize = 8;
/// Spaces one link may carry: a district hub reads the figures of some hundred streets.
pub const SPACES_PER_LINK_MAX: usize = 1_024;
/// Refusals in one acknowledgement: no more than a batch has items.
pub const REFUSALS_PER_ACK_MAX: usize = BATCH_ITEMS_MAX;
/// Hashes in one `Hashes` frame: 2,048 x 32 bytes are 64 KB.
pub const HASHES_PER_FRAME_MAX: usize = 2_048;
/// Ranges in one `Ranges` frame: every value of one byte.
pub const RANGES_PER_FRAME_MAX: usize = 256;
/// Below this many hashes a range is listed instead of split.
pub const RANGE_LIST_MAX: u64 = 1_024;
/// Slices of the journal read for one link and space in one turn, when all of them came from the
/// peer itself and nothing is to be sent.
pub const SLICES_PER_PUMP_MAX: usize = 16;
/// A peer's cursor is moved over changes that came from itself once it lags this far behind.
pub const CURSOR_LAG_MAX: u64 = 256;
/// Changes queued for repair per link and space; the rest is found by the next comparison.
pub const REPAIR_QUEUE_MAX: usize = 100_000;
/// Longest rest a peer may ask for, in seconds. Whoever is put off for a day asks six times an hour,
/// with one change each.
pub const REST_SECONDS_MAX: u32 = 600;
/// Ticks for which whoever asked for rest begins no comparison beyond it: a change that asks is on
/// its way by then.
pub const REST_GRACE_TICKS: u32 = 30;
/// Longest pause before what lacks its cause is sent again, in ticks. Pauses double, so that what
/// comes late has waited at most twice as long as its cause.
pub const PAUSE_TICKS_MAX: u32 = 64;
/// A pause of this many ticks says that a cause does not come by itself: it was sent again three
/// times.
pub const STUCK_PAUSE_TICKS: u32 = 4;
/// Ticks for which what is new waits behind a comparison and what it finds the peer to lack. Slow roads
/// take four seconds each way; and eight batches a tick are 40,000 changes.
pub const FOUND_TICKS_MAX: u32 = 10;
/// Ticks a difference must stand while nothing is under way before ranges are compared.
pub const QUIET_TICKS: u32 = 2;
/// To a peer met for the first time the journal is sent whole where it or what the peer holds has
/// at most this many changes: what is sent and already there costs less than to compare. A new
/// machine holds a note or two of its own.
pub const FIRST_MEETING_MAX: u64 = 4_096;

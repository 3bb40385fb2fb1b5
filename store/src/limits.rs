//! The bounds of the store, with their arithmetic.
//!
//! A bound is refused with an error that names it; none is raised at run time.

use linli_domain::limits::CHANGE_BYTES_MAX;

/// Bytes after which the next commit opens a new segment. 64 MiB is about 190,000 records of an
/// office's size (350 bytes) and reads in well under a second.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Largest frame of one record on disk: the largest change, 8 KiB for the envelope around a sealed
/// one, and room for names. Anything longer in a file is damage.
pub const RECORD_BYTES_MAX: usize = CHANGE_BYTES_MAX + (16 << 10);

/// Largest change or envelope that `append` takes.
pub const PAYLOAD_BYTES_MAX: usize = CHANGE_BYTES_MAX + (8 << 10);

/// Longest key of a note.
pub const NOTE_KEY_BYTES_MAX: usize = 256;

/// Largest value of a note: a refused change with its reason.
pub const NOTE_VALUE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;

/// All notes together, since they are kept in memory: about 120 refused changes of the largest
/// size, or 50,000 of the usual one.
pub const NOTES_BYTES_MAX: usize = 32 << 20;

/// Most bytes that wait for one commit: 4,096 changes of 4 KiB, or 60 of the largest.
pub const PENDING_BYTES_MAX: usize = 16 << 20;

/// Bytes of one row of the key shelf: 100,000 sealed documents are two files of 16 MB.
pub const KEY_ROW_BYTES: usize = 160;

/// Wrapped keys of one name: the right one, and one that a machine without the community's key
/// was handed in its place.
pub const WRAPS_PER_NAME_MAX: usize = 2;

/// Recent commits kept in memory for readers that follow closely: about 12,000 records.
pub const TAIL_BYTES: usize = 4 << 20;

/// Records whose positions make up one row of the index: about 140 bytes.
pub const BLOCK_RECORDS: usize = 64;

/// Most bytes fetched from a segment by one read: about 750 records.
pub const RUN_BYTES: u64 = 256 << 10;

/// Bytes between two wanted records beyond which two reads are cheaper than one.
pub const RUN_GAP_BYTES: u64 = 16 << 10;

/// Bytes fetched at once when a segment is walked from end to end.
pub const WINDOW_BYTES: u64 = 1 << 20;

/// Segment files held open at once by a real disk.
pub const FILES_OPEN_MAX: usize = 64;

/// Bytes of zeros written ahead of a growing segment, so that most syncs carry no change of the
/// file's length: one extra sync in about 3,000 single commits.
pub const RESERVE_BYTES: u64 = 1 << 20;

/// Longest key of a view row.
pub const ROW_KEY_BYTES_MAX: usize = 512;

/// Largest value of a view row.
pub const ROW_BYTES_MAX: usize = 8 << 20;

/// Largest value that a row of sled holds itself; a longer one lies in the heap. A leaf of sled holds
/// up to 17 rows and is written as a blob, which sled never syncs, from 128 KiB on: 17 x (64 bytes +
/// a key) is below 10 KiB.
pub const VALUE_INLINE_BYTES: usize = 64;

/// Bytes from which a file of the heap grows no more: a heap of a million entries is some 30 files.
pub const HEAP_FILE_BYTES: u64 = 32 << 20;

/// Bytes of the heap that no row names, beyond [`HEAP_FACTOR`] times what is live, from which a
/// checkpoint empties a file: at most 16 MiB more to write.
pub const HEAP_SPARE_BYTES: u64 = 64 << 20;

/// See [`HEAP_SPARE_BYTES`].
pub const HEAP_FACTOR: u64 = 2;

/// Bytes of the heap written at once.
pub const HEAP_BUFFER_BYTES: usize = 256 << 10;

/// Bytes of the heap read at once where values follow each other.
pub const HEAP_WINDOW_BYTES: usize = 64 << 10;

/// Bytes between two values up to which they follow each other.
pub const HEAP_GAP_BYTES: u64 = 4 << 10;

/// Rows that sled is given at a time while somebody may want to read: some 0.4 ms, reckoned from 0.13 ms
/// for 32 in a profile. Each time sled writes a buffer out. A batch of more is written down first, so that
/// it can be finished after a crash.
pub const PIECE_ROWS: usize = 96;

/// Cache given to sled; its memory is about twice that.
pub const CACHE_BYTES: u64 = 16 << 20;

/// Rows up to which a view directory is read completely at open (before the heap about 2 us a row, so 40 ms); a
/// larger one is read by `audit_views`.
pub const CHECKED_ROWS_MAX: u64 = 20_000;

/// Rows read at once by an audit: about 1 ms.
pub const AUDIT_ROWS: usize = 512;

/// Times that an audit of rows begins anew because rows were written meanwhile. A pass over 1.3
/// million rows takes some 3 s of quiet moments; a store written more often than that has its rows
/// checked one by one, and their sum at the next audit.
pub const AUDIT_RESTARTS_MAX: u32 = 16;

/// Changed rows in memory from which a checkpoint is due.
pub const DIRTY_BYTES_DUE: usize = 8 << 20;

/// Records since the last checkpoint from which one is due: what a restart has to apply again, and
/// 8 bytes of memory each.
pub const REPLAY_RECORDS_DUE: u64 = 16_384;

/// View directories kept aside after damage, for whoever wants to look.
pub const BROKEN_KEPT_MAX: usize = 2;

/// A view directory is written anew at open when it is larger than this and than
/// [`REWRITE_FACTOR`] times its live rows.
pub const REWRITE_BYTES_MIN: u64 = 256 << 20;

/// See [`REWRITE_BYTES_MIN`].
pub const REWRITE_FACTOR: u64 = 4;

/// Rows written at once to a new view directory: 2 MiB of usual rows.
pub const REWRITE_ROWS: usize = 2_048;

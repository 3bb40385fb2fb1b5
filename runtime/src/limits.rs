//! The bounds of links, messages, handshakes and queues, with their arithmetic.

use std::time::Duration;

use linli_domain::limits::CHANGE_BYTES_MAX;
use linli_replica::limits::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX, BATCHES_IN_FLIGHT_MAX};

/// Bytes one item takes in a body beside its change: an entry id of at most 96, a hash of 32, two
/// wrapped keys of 80, and tags and lengths.
pub const ITEM_OVERHEAD_BYTES_MAX: usize = 324;
/// Largest inflated body of a batch: a full batch, one change that overshoots, and the overhead of
/// its items; 930 KB.
pub const BODY_BYTES_MAX: usize =
    BATCH_BYTES_MAX + CHANGE_BYTES_MAX + BATCH_ITEMS_MAX * ITEM_OVERHEAD_BYTES_MAX;
/// Below this a body is sent plain: zstd's own frame eats what it would save.
pub const BODY_PLAIN_BYTES_MAX: usize = 256;
/// Largest message in either direction: the largest body, which may not compress, and room.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const _: () = assert!(BODY_BYTES_MAX + 16 * 1024 <= MESSAGE_BYTES_MAX);
/// Author grants in one frame: a street of 400 communities with five desks and two spaces each.
pub const GRANTS_PER_FRAME_MAX: usize = 4_096;
/// Longest reason code of a refusal, in bytes.
pub const REASON_BYTES_MAX: usize = 64;

/// Frames that wait to leave on one link. With batches of at most 0.5 MB and eight in flight,
/// small frames always find room.
pub const LINK_FRAMES_MAX: usize = 32;
/// Events of all links that wait for the replica: at most 64 x 930 KB = 60 MB when every one is a
/// full batch, and some twice that for what was parsed of them; links stop reading beyond that.
pub const LINK_EVENTS_MAX: usize = 64;

/// A TCP connection, its TLS handshake and its first answer each have this long.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one machine: a live one, a dying one, a renewal and one to spare. The fifth takes
/// the place of the oldest.
pub const CONNECTIONS_PER_PEER_MAX: usize = 4;
/// Connections of enrolled machines; idle they cost 45 KB each, 90 MB in all. Strangers have places
/// of their own and use up none of these.
pub const CONNECTIONS_MAX: usize = 2_000;
/// Connections without a certificate: enrolments and strangers.
pub const CONNECTIONS_ANONYMOUS_MAX: usize = 64;
/// Of these from one address: an office that enrols all its desks at once.
pub const CONNECTIONS_ANONYMOUS_PER_ADDRESS_MAX: usize = 16;
/// Handshakes under way, at some 40 KB each; callers beyond them wait in the system's queue.
pub const HANDSHAKES_MAX: usize = 512;
/// A handshake keeps its place for this long, even if others wait for it: honest ones take some
/// milliseconds, and a second where a whole street comes back at once. Who is slower on purpose
/// holds up 512 callers for a second each.
pub const HANDSHAKE_SURE: Duration = Duration::from_secs(1);
/// How far the thread that serves strangers stands back: by Linux's weights it gets a tenth of a core
/// that another thread wants as well, and all of an idle one.
pub const LOBBY_NICE: i32 = 10;
/// A connection without a certificate ends after this long, used or not.
pub const ANONYMOUS_AGE_MAX: Duration = Duration::from_secs(30);
/// Streams of one connection: a link and some short calls.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 8;
/// Streams that were reset before they were looked at, on one connection, before it is closed.
pub const RESETS_PENDING_MAX: usize = 20;
/// Streams this side has to reset for a fault of the peer, on one connection, before it is closed.
pub const RESETS_OWN_MAX: usize = 64;
/// Bytes of headers in one call.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// A call other than a link ends after this long.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A silent connection is asked for a sign of life after this long by who dialled; the other side
/// asks a little later, so that only one of them does.
pub const KEEPALIVE_DIALLED: Duration = Duration::from_secs(20);
/// See [`KEEPALIVE_DIALLED`].
pub const KEEPALIVE_ACCEPTED: Duration = Duration::from_secs(30);
/// A sign of life that has not come after this long ends the connection.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Who dialled replaces a link of this age by a new one, a little earlier by chance, so that no
/// connection outlives what was found out about it, and a street's links do not end together.
pub const LINK_AGE: Duration = Duration::from_secs(3_600);
/// Who answered ends a link that is older by this much, and its connection after as much again.
pub const LINK_AGE_GRACE: Duration = Duration::from_secs(300);
/// Accepting rests this long when there is no room for another connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Streams have this long to end when a server shuts down.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// First wait before dialling again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait before dialling again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Longest wait after a link that carried frames but did not live long.
pub const BACKOFF_SHORT_MAX: Duration = Duration::from_secs(2);
/// A link that lived this long was a good one: the next wait is the first again.
pub const LINK_GOOD_AFTER: Duration = Duration::from_secs(5);

/// Lines of one kind that strangers can cause, in one [`SELDOM_WINDOW`]: without a bound, a thousand
/// callers a second would write 1,000 x 120 bytes x 86,400 = 10 GB of log a day.
pub const SELDOM_LINES: u32 = 10;
/// See [`SELDOM_LINES`].
pub const SELDOM_WINDOW: Duration = Duration::from_secs(10);

/// Life of a machine's certificate, in days.
pub const CERTIFICATE_DAYS: u32 = 60;
/// A certificate is renewed from this many days before its end.
pub const RENEWAL_DAYS: u32 = 30;
/// A certificate that ended at most this many days ago may still be used to renew itself.
pub const LATE_RENEWAL_DAYS: u32 = 180;
/// Life of an authority and of a hub's own certificate, whose key lies beside the authority's: a
/// shorter life would protect nothing. Ten years.
pub const AUTHORITY_DAYS: u32 = 3_652;
/// Life of an invitation unless the inviter says otherwise.
pub const INVITATION_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Enrolments and renewals under way at a time; each costs a signature and two fsyncs.
pub const ENROLMENTS_MAX: usize = 8;
/// Invitations kept, used ones included; used and ended ones are forgotten beyond it.
pub const INVITATIONS_MAX: usize = 1_000;
/// Largest signing request, in bytes; ours take about 250.
pub const REQUEST_BYTES_MAX: usize = 4_096;

/// A peer's clock may be this far ahead of ours and of all seen before, and is followed; five
/// minutes are what a badly kept office clock drifts in a year.
pub const CLOCK_DRIFT_MILLIS_MAX: u64 = 5 * 60 * 1_000;
/// Changes made in one turn are a millisecond apart, so that no two are the same; they may run ahead
/// of the clock by this much: 60,000 changes without a pause, more than a minute's imports.
pub const CHANGE_TIME_AHEAD_MILLIS_MAX: u64 = 60 * 1_000;
/// Refused changes kept for people to see, here and there each; further ones are refused alike
/// but not listed. About 200 bytes each.
pub const REFUSED_KEPT_MAX: usize = 1_000;
/// Bytes of refused changes kept for another judgement: 30 of the largest, or 20,000 of the usual
/// size, and a quarter of what a store's notes may hold. Beyond it the oldest of whoever has most go.
pub const REFUSED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Days for which they are kept: a quarter in which somebody comes to look.
pub const REFUSED_BYTES_DAYS: u64 = 90;
/// Days for which a hub's status tells of a second machine that has called under a name: who has not
/// called for a month is enrolled anew or gone.
pub const DOUBLED_TOLD_DAYS: u64 = 30;
/// Bytes of refused changes in one answer, which holds them in base64: with the largest change on
/// top 6 MB of the 32 that an answer may have.
pub const REFUSED_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of old and new numbers in the remark of a corrected closing: some 400 metrics at 40.
pub const CORRECTIONS_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the reason given for it. With 4 KB for 200 metrics at 20, correcting one period of 400
/// communities in one turn stages at most 400 x 24 KB = 10 MB, below the store's 16 MB.
pub const CLOSING_NOTE_BYTES_MAX: usize = 4 * 1024;
/// Letters of the reason for an erasure: a sentence or two, since it stays and says nothing personal.
pub const ERASURE_REASON_LETTERS_MAX: usize = 200;
/// Linked entries named before an erasure; who has more of them looks them up.
pub const LINKED_MAX: usize = 50;
/// Days for which backups made before an erasure are kept at most: an office that backs up each week
/// has four others by then. What a backup holds is not in our hands; the list says until when.
pub const ERASED_IN_BACKUPS_DAYS: i32 = 30;
/// Between two times that the views are written anew after erasures: some seconds for a large
/// ledger, in which the machine answers nobody.
pub const SCRUB_EVERY_MILLIS: u64 = 60 * 1_000;
/// Bytes a hub takes from one desk in a day unless its operator says otherwise: some 140,000 edits
/// at 353 bytes, far more than an office writes. A mad or stolen desk needs three weeks for a
/// gigabyte, and is seen on its first day.
pub const NODE_BYTES_PER_DAY: u64 = 50 * MEGABYTE;
/// Bytes that are left free on a disk unless its operator says otherwise: some 1,400,000 edits, and
/// room for the views, for a backup's temporary file, and for the system itself.
pub const FREE_BYTES_MIN: u64 = 500 * MEGABYTE;
/// Seconds a peer rests before it offers again what a full disk could not take.
pub const FULL_REST_SECONDS: u32 = 30;
/// What settings count in.
pub const MEGABYTE: u64 = 1_000_000;
/// Halves of entries kept in memory per space while clean: about 2 KB each, 8 MB.
pub const HALVES_WARM_MAX: usize = 4_096;
/// Halves that may differ from their rows before rows are written even under load: 16 MB.
pub const HALVES_DIRTY_MAX: usize = 8_000;
/// Between two checkpoints that nothing but an idle moment calls for. A restart applies again what
/// came since; how much that may be, the store bounds.
pub const CHECKPOINT_EVERY_MILLIS: u64 = 1_000;
/// Background work begins once nothing has come for so long: longer than the answer to a frame
/// takes in an office's network. While more comes it waits, up to `HALVES_DIRTY_MAX`.
pub const QUIET_AFTER: Duration = Duration::from_millis(3);
/// Entries measured and rows written in one slice of background work: about 0.3 ms, which an edit
/// that comes in between has to wait.
pub const SLICE_ENTRIES: usize = 8;

/// Entries measured again while somebody waits for figures, after definitions have changed: some
/// 0.1 s. What is more goes on in the background.
pub const MEASURED_AT_ONCE_MAX: usize = 2_000;

/// Inputs fed to a machine in one turn, between two commits.
pub const TURN_INPUTS_MAX: usize = 256;
/// Bytes fed in one turn: with one more of the largest inputs (an import of 4 MB that is sealed
/// to twice its size) what is staged stays below the store's 16 MB.
pub const TURN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one record of an import counts for in a turn.
pub const TURN_RECORD_BYTES: usize = 4 * 1024;
/// Time between two ticks of a machine.
pub const TICK: Duration = Duration::from_secs(1);
/// Calls of people's programs that wait for a machine's turn; more wait outside.
pub const CALLS_MAX: usize = 256;
/// People's programs that follow entries at once: several on each of an office's screens.
pub const FOLLOWERS_MAX: usize = 256;
/// Milliseconds after which a follower is shown the entry whatever it is, so that neither end waits
/// for one that has gone.
pub const FOLLOW_MILLIS_MAX: u64 = 30_000;
/// Frames that wait on one link whose peer does not read; beyond it the link is let go. Windows
/// keep an honest peer's far below, but for a repair of some million changes: 38 MB of hashes.
pub const LINK_BACKLOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What waits at most in one space for a peer that reads nothing: its window of eight batches, 6.8
/// MB of the largest changes and 4 MB of common ones. A new desk's link has two spaces that are
/// large and one that is not.
pub const SPACE_WAITING_BYTES_MAX: usize = BATCHES_IN_FLIGHT_MAX * BODY_BYTES_MAX;
const _: () = assert!(3 * SPACE_WAITING_BYTES_MAX < LINK_BACKLOG_BYTES_MAX);
/// The same over all links of a machine: sixteen peers that read nothing while a first sync of
/// 12 MB waits for each, and a repair beside them. Beyond it the link with the most is let go.
pub const LINKS_BACKLOG_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Misconduct that has no consequence: a desk with a wrong definition, or some broken links.
pub const MISCONDUCT_FREE: u32 = 200;
/// What a frame that breaks the rules counts, where a refused change counts one.
pub const MISCONDUCT_BREACH: u32 = 50;
/// From here on a machine gets no new link for a while: sixteen breaches within a minute.
pub const MISCONDUCT_SHUT: u32 = 800;
/// Misconduct counts half after this long.
pub const MISCONDUCT_HALVES: Duration = Duration::from_secs(60);
/// Longest pause before the next frame of a machine that misbehaves is read: with batches of 500
/// changes it gets 250 refused changes in a second at most, and a hub judges 20,000.
pub const MISCONDUCT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Largest question on the local API: an import of 500 records of 8 KB.
pub const QUESTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest answer taken from the local API: a page of 500 entries at 64 KB.
pub const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Changes looked at per space to count those that no hub has yet; a status says at most so many.
pub const UNSENT_COUNTED_MAX: usize = 10_000;
/// From one audit to the next that nobody asked for: a day.
pub const AUDIT_EVERY_MILLIS: u64 = 24 * 3_600 * 1_000;
/// From a start to the first one: the office has come up by then.
pub const AUDIT_FIRST_MILLIS: u64 = 10 * 60 * 1_000;
/// A read that meets damage starts an audit, but not within an hour of the last.
pub const AUDIT_AGAIN_MILLIS: u64 = 3_600 * 1_000;
/// Bytes of the journal read in one slice of an audit: about 3 ms, which an edit that comes in
/// between has to wait. A longer commit is read whole.
pub const AUDIT_SLICE_BYTES: u64 = 512 << 10;
/// Rows of the views read in one slice of an audit: about 1 ms.
pub const AUDIT_ROWS: usize = 512;
/// Bytes of changes held to be compared with their halves: 16 MiB are some 47,000 changes of an
/// office's size. A space of 350 MB is read 22 times by one audit.
pub const AUDIT_BYTES_MAX: usize = 16 << 20;
/// Damaged places that one audit names: 200 bytes each.
pub const AUDIT_NAMED_MAX: usize = 100;

/// Largest file of a backup: a full segment of 64 MiB, the largest commit behind it of 16 MiB and
/// room. One is held in memory while a backup is read back.
pub const BACKUP_FILE_BYTES_MAX: u64 = 96 << 20;
/// Largest manifest of a backup: 400 communities with two spaces each at 200 bytes, and 10,000
/// segments at 150 bytes, 1.7 MB.
pub const BACKUP_MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a sealed backup that are authenticated together.
pub const BACKUP_CHUNK_BYTES: usize = 64 << 10;
/// Memory, in KiB, and passes that turn a passphrase into a key: the second choice of RFC 9106 but
/// for its lanes, about 0.2 s. A file may ask for at most the larger numbers: 1 GiB, 16 passes.
pub const PASSPHRASE_KIB: u32 = 64 << 10;
/// See [`PASSPHRASE_KIB`].
pub const PASSPHRASE_PASSES: u32 = 3;
/// See [`PASSPHRASE_KIB`].
pub const PASSPHRASE_KIB_MAX: u32 = 1 << 20;
/// See [`PASSPHRASE_KIB`].
pub const PASSPHRASE_PASSES_MAX: u32 = 16;
const _: () = assert!(PASSPHRASE_KIB <= PASSPHRASE_KIB_MAX);
const _: () = assert!(PASSPHRASE_PASSES <= PASSPHRASE_PASSES_MAX);
/// Shortest passphrase, in bytes: four Chinese characters, or twelve letters. The file may lie for
/// years where others can try.
pub const PASSPHRASE_BYTES_MIN: usize = 12;
/// Longest passphrase file that is read.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// A desk notes where its spaces stand before the first record of a day, for files that carry the last
/// weeks.
pub const MARK_EVERY_MILLIS: u64 = 24 * 3_600 * 1_000;
/// Such notes that are kept, of some 200 bytes: a year and a month. What is older has no time.
pub const MARKS_KEPT_MAX: usize = 400;

/// Desks of the community remembered from the office's network: an office has some ten. Each takes
/// 300 bytes and its dialling 20 KB, 2 MB in all.
pub const LAN_DESKS_MAX: usize = 32;
/// Addresses of one desk that are dialled: a cable, a radio, and one of the newer kind.
pub const LAN_ADDRESSES_MAX: usize = 3;
/// A desk's second address, and the second of two desks, is dialled this much later: longer than a
/// handshake may take, so that the first link stands by then.
pub const LAN_PATIENCE: Duration = Duration::from_secs(6);
const _: () = assert!(HANDSHAKE_TIMEOUT.as_millis() < LAN_PATIENCE.as_millis());
/// A desk that has gone is dialled for this long, so that one that comes and goes keeps its waits.
pub const LAN_KEPT: Duration = BACKOFF_MAX;
/// Between two looks at who is to be dialled.
pub const LAN_LOOK_EVERY: Duration = Duration::from_secs(1);
/// For the goodbye on the office's network.
pub const LAN_FAREWELL: Duration = Duration::from_millis(500);

/// Longest revocation: a name of four parts of 32 and three strokes, a number of 20 digits, 72 bytes
/// of signature in base64, and two spaces; 249 bytes.
pub const REVOCATION_BYTES_MAX: usize = 256;
/// Revocations a machine keeps; each is signed by the authority, so only a hub could fill them. A
/// street of 400 communities that each lose ten machines.
pub const REVOCATIONS_MAX: usize = 4_096;

/// Desks to which one bundle speaks: a community has some ten, and each takes a hello of 700 bytes.
pub const BUNDLE_READERS_MAX: usize = 64;
/// Largest head of a bundle: a few names, keys and numbers, 600 bytes.
pub const BUNDLE_HEAD_BYTES_MAX: usize = 4 * 1024;
/// Largest certificate in a bundle; ours take about 500 bytes.
pub const BUNDLE_CERTIFICATE_BYTES_MAX: usize = 4 * 1024;
/// Largest bundle that is read: what a stick formatted as people buy it holds in one file, some
/// 12,000,000 changes.
pub const BUNDLE_BYTES_MAX: u64 = 4 << 30;

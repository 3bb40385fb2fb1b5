//! What the log says where something went wrong that nobody asked about.
//!
//! It says what to do next, and refuses to repeat what stands in an entry.

use linli_replica::holdings::Whose;

use crate::books::BooksTrouble;

/// Says it once, as loud as it is bad.
pub(super) fn log(trouble: BooksTrouble) {
    match trouble {
        BooksTrouble::Read(what) => tracing::error!(what, "the journal could not be read"),
        BooksTrouble::View(what) => {
            tracing::warn!(what, "a view could not be written; the next start rebuilds it");
        }
        BooksTrouble::Pack(what) => {
            tracing::warn!(what, "a published pack is not in force");
        }
        BooksTrouble::Fork { entry, from } => {
            tracing::warn!(%entry, %from, "one machine's identity is used twice");
        }
        BooksTrouble::OtherLife { peer, whose: Whose::Ours } => tracing::warn!(
            %peer,
            "a peer has read what is not in this journal: another machine runs on a copy of \
             this disk, or an old copy was put back; if there are two, enrol one of them anew"
        ),
        BooksTrouble::OtherLife { peer, whose: Whose::Theirs } => tracing::warn!(
            %peer,
            "this is not the journal that was read before: two machines run on copies of one \
             disk, or an old copy was put back; if there are two, enrol one of them anew"
        ),
        BooksTrouble::NearQuota { from, bytes, bytes_per_day } => {
            tracing::info!(%from, bytes, bytes_per_day, "a machine nears its daily limit");
        }
        BooksTrouble::Room { free, min, short: true } => tracing::error!(
            free,
            min,
            "the disk is nearly full: nothing is taken until there is room again"
        ),
        BooksTrouble::Room { free, .. } => {
            tracing::info!(free, "there is room on the disk again: work goes on");
        }
        BooksTrouble::PutOff { from, bytes, bytes_per_day } => {
            tracing::warn!(
                %from, bytes, bytes_per_day,
                "a machine reached its daily limit and is put off until tomorrow; if what \
                 it sends is meant, raise node_megabytes_per_day in hub.toml and restart"
            );
        }
    }
}

//! Room on the disk: a machine that has little left takes nothing more until there is room again.
//!
//! Reading goes on, links stand, and what others send is put off, not refused. So a full disk is
//! met before it is full, and no commit fails for it. It refuses to look at a disk itself: the
//! daemon gives it a look.

use std::fmt;

use linli_store::disk::Disk;
use linli_store::views::Views;

use super::Site;
use crate::ask::{Ask, Trouble};
use crate::books::BooksTrouble;
use crate::limits::MEGABYTE;

/// Bytes that are free where the store lies; `None` where the system does not say.
pub type Look = Box<dyn FnMut() -> Option<u64> + Send>;

/// What is known of the room on the disk.
#[derive(Default)]
pub(super) struct Room {
    look: Option<Look>,
    min_bytes: u64,
    /// Bytes that are left, while they are too few.
    short: Option<u64>,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("short", &self.short).finish_non_exhaustive()
    }
}

impl<D: Disk, V: Views> Site<D, V> {
    /// Takes nothing more while fewer than `min_bytes` are free; 0 never looks.
    pub fn guard_room(&mut self, look: Look, min_bytes: u64) {
        self.room = Room { look: Some(look), min_bytes, short: None };
        self.look_for_room();
    }

    /// Looks once; told by each tick.
    pub(super) fn look_for_room(&mut self) {
        let min = self.room.min_bytes;
        let Some(free) = self.room.look.as_mut().filter(|_| min > 0).and_then(|look| look()) else {
            return;
        };
        // An eighth more than the limit must be free before work goes on, or it would go back and
        // forth with every edit.
        let enough = if self.room.short.is_some() { min + min / 8 } else { min };
        let short = (free < enough).then_some(free);
        if short.is_some() != self.room.short.is_some() {
            self.books.trouble(BooksTrouble::Room { free, min, short: short.is_some() });
        }
        self.room.short = short;
        self.books.set_full(short.is_some());
    }

    /// Bytes that are left, while they are too few to take anything.
    pub(super) fn short_of_room(&self) -> Option<u64> {
        self.room.short
    }

    /// Whether there is room for what is asked.
    pub(super) fn check_room(&self, ask: &Ask) -> Result<(), Trouble> {
        let Some(free) = self.room.short else { return Ok(()) };
        let writes = match ask {
            Ask::Add { .. }
            | Ask::Edit { .. }
            | Ask::Step { .. }
            | Ask::Import { dry_run: false, .. }
            // A look-up of personal fields is put on record.
            | Ask::Show { reason: Some(_), .. }
            | Ask::Approve { .. }
            | Ask::JudgeAgain { .. }
            | Ask::Close { .. }
            | Ask::Publish { .. }
            | Ask::Withdraw { .. } => true,
            _ => false,
        };
        if !writes {
            return Ok(());
        }
        let (free, min) = (free / MEGABYTE, self.room.min_bytes.div_ceil(MEGABYTE));
        Err(Trouble {
            code: "disk-full".into(),
            zh: format!(
                "磁盘只剩 {free} MB（至少要留 {min} MB），暂停写入，这一步没有保存；查看不受影响。\
                 请清理磁盘，腾出空间后会自动继续，不必重启。"
            ),
            en: format!(
                "Only {free} MB are left on the disk ({min} MB are kept free), so this was not saved; \
                 reading goes on. Make room: work goes on by itself, without a restart."
            ),
        })
    }
}

//! The engines under test: a real disk with sled, memory, and memory that loses power whenever it
//! is opened.

use linli_store::{
    CrashKeep, Disk, JournalOptions, MemoryDisk, MemoryViews, Opened, RealDisk, SledViews, Store,
    StoreError, StoreOptions, Views,
};
use tempfile::TempDir;

/// An opened store of an engine, and what opening it found.
pub(crate) type Open<E> = (Store<<E as Engine>::Disk, <E as Engine>::Views>, Opened);

/// A place where a store can be opened again and again.
pub(crate) trait Engine: Sized {
    type Disk: Disk + std::fmt::Debug;
    type Views: Views + std::fmt::Debug;

    fn new() -> Self;
    fn disk(&self) -> Self::Disk;
    fn views(&self) -> Self::Views;
    /// Deletes the views; nothing may be open.
    fn lose_views(&self);

    fn open(&self, options: StoreOptions) -> Open<Self> {
        self.try_open(options).expect("the store opens")
    }

    fn try_open(&self, options: StoreOptions) -> Result<Open<Self>, StoreError> {
        let disk = self.disk();
        Store::open(disk, self.views(), options)
    }
}

/// Small segments, so that a few records fill several.
pub(crate) fn small() -> StoreOptions {
    let journal = JournalOptions { segment_bytes: 2000, tail_bytes: 1500 };
    StoreOptions { journal, cache_bytes: 4 << 20, ..StoreOptions::default() }
}

pub(crate) struct Real {
    pub(crate) home: TempDir,
}

impl Engine for Real {
    type Disk = RealDisk;
    type Views = SledViews;

    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("temporary directory") }
    }

    fn disk(&self) -> RealDisk {
        RealDisk::open(&self.home.path().join("journal")).expect("disk opens")
    }

    fn views(&self) -> SledViews {
        SledViews::open(&self.home.path().join("views"), 4 << 20).expect("views open")
    }

    fn lose_views(&self) {
        std::fs::remove_dir_all(self.home.path().join("views")).expect("views are removed");
    }
}

#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) disk: MemoryDisk,
    pub(crate) views: MemoryViews,
}

impl Engine for Memory {
    type Disk = MemoryDisk;
    type Views = MemoryViews;

    fn new() -> Self {
        Self { disk: MemoryDisk::new(), views: MemoryViews::new() }
    }

    fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }

    fn views(&self) -> MemoryViews {
        self.views.clone()
    }

    fn lose_views(&self) {
        let mut views = self.views.clone();
        views.clear().expect("views clear");
    }
}

impl Memory {
    /// The same bytes and rows on a machine of their own.
    pub(crate) fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), views: self.views.copy() }
    }
}

/// Memory that loses power before each open: what was not synced is gone.
pub(crate) struct PowerCut {
    memory: Memory,
}

impl Engine for PowerCut {
    type Disk = MemoryDisk;
    type Views = MemoryViews;

    fn new() -> Self {
        Self { memory: Memory::new() }
    }

    fn disk(&self) -> MemoryDisk {
        self.memory.disk.crash(CrashKeep::Nothing);
        self.memory.disk()
    }

    fn views(&self) -> MemoryViews {
        self.memory.views.crash(0);
        self.memory.views()
    }

    fn lose_views(&self) {
        self.memory.lose_views();
    }
}

/// Runs each named case over every engine.
macro_rules! over_all_engines {
    ($($case:ident),* $(,)?) => {
        mod real {
            $(#[test] fn $case() { super::$case(&<crate::engine::Real as crate::engine::Engine>::new()); })*
        }
        mod memory {
            $(#[test] fn $case() { super::$case(&<crate::engine::Memory as crate::engine::Engine>::new()); })*
        }
        mod power_cut {
            $(#[test] fn $case() { super::$case(&<crate::engine::PowerCut as crate::engine::Engine>::new()); })*
        }
    };
}
pub(crate) use over_all_engines;

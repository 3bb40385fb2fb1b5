//! What every store must do, whatever lies under it.
//!
//! The cases of `journal`, `views` and `store` run over every engine of `engine`; `faults` and
//! `salvage` need a disk that breaks on request, `survey` one in memory, `sled_damage` a directory that can be spoilt.

mod engine;
mod faults;
mod golden;
mod history;
mod journal;
mod reach;
mod salvage;
mod sled_damage;
mod store;
mod survey;
mod views;

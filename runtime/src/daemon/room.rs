//! How much room the disk of a data folder has left.

use std::path::Path;

use crate::site::Look;

/// A look at the bytes that are free below a folder, for those who may write there.
pub fn look_for_room(data: &Path) -> Look {
    let data = data.to_owned();
    Box::new(move || fs4::available_space(&data).ok())
}

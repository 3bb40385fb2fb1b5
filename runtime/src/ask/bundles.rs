//! What is asked and answered about bundles. Frames are those of a link, in base64.

use linli_domain::id::{PeerName, Space};
use serde::{Deserialize, Serialize};

use super::RefusedView;

/// What a bundle says, and where it begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleOpened {
    /// Hellos: one to any desk, and one to each that this one knows.
    pub said: Vec<BundleSaid>,
    /// What there is to carry, space by space.
    pub stretches: Vec<BundleStretch>,
}

/// A frame, and to whom it is said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleSaid {
    /// To whom; to any desk where absent.
    pub to: Option<PeerName>,
    /// The frame.
    pub frame: String,
}

/// The part of a journal that a bundle carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleStretch {
    /// The space.
    pub space: Space,
    /// It begins behind this place.
    pub after: u64,
    /// It ends with this one.
    pub until: u64,
    /// A batch without changes that says where it begins.
    pub begins: String,
}

/// What became of a batch of a bundle.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BundleTaken {
    /// Changes that are new here.
    pub taken: usize,
    /// Those that were here.
    pub known: usize,
    /// Those whose cause or author is not known here yet.
    pub missing: usize,
    /// Those put off for want of room on the disk.
    pub later: usize,
    /// This desk's own, only named by the bundle, that it no longer has.
    pub lost: usize,
    /// Those refused for good.
    pub refused: Vec<RefusedView>,
}

/// How a space stands after a bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleSpace {
    /// The space.
    pub space: Space,
    /// All that the other desk held is here.
    pub complete: bool,
    /// Both hold the same.
    pub agreed: bool,
    /// Changes of the other desk's journal at most that stand before the bundle's beginning and were
    /// not read here; 0 where nothing is left out.
    #[serde(default)]
    pub left_out: u64,
}

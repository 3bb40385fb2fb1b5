//! Figures from packs and entries.

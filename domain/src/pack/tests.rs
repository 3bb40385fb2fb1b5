//! Packs as files: what loads, and what is refused where.

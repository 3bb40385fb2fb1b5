//! A list kept in a small JSON file: read whole at the start, written whole at each change.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BookError;
use crate::authority::{read_if_present, write_private};

/// Where a list is kept; without a path it is kept in memory only.
#[derive(Debug)]
pub(super) struct Book {
    path: Option<PathBuf>,
}

impl Book {
    /// Opens a list; one that was never written is empty.
    pub(super) fn open<T: DeserializeOwned>(path: PathBuf) -> Result<(Self, Vec<T>), BookError> {
        let rows = match read_if_present(&path) {
            Err(source) => return Err(BookError::File { path, source }),
            Ok(None) => Vec::new(),
            Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
                Ok(rows) => rows,
                Err(source) => return Err(BookError::Damaged { path, source }),
            },
        };
        Ok((Self { path: Some(path) }, rows))
    }

    pub(super) fn in_memory() -> Self {
        Self { path: None }
    }

    /// Makes the list durable.
    pub(super) fn write<T: Serialize>(&self, rows: &[T]) -> Result<(), BookError> {
        let Some(path) = &self.path else { return Ok(()) };
        let bytes = serde_json::to_vec_pretty(rows)
            .map_err(|source| BookError::Damaged { path: path.clone(), source })?;
        write_private(path, &bytes).map_err(|source| BookError::File { path: path.clone(), source })
    }
}

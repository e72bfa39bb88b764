//! What a data asset is: a file, a folder, or a folder with a description of its table.

use kernel::{Error, Result};
use serde::{Deserialize, Serialize};

/// Azure's `dataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataKind {
    /// One file.
    UriFile,
    /// A folder.
    UriFolder,
    /// A folder with a file `MLTable` in it, which says how it is read. The server does not read it.
    MlTable,
}

impl DataKind {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::UriFile => "uri_file",
            Self::UriFolder => "uri_folder",
            Self::MlTable => "mltable",
        }
    }

    /// Reads Azure's word; its case does not count.
    ///
    /// # Errors
    /// `Invalid`, naming `field` and the words that there are.
    pub fn parse(field: &str, word: &str) -> Result<Self> {
        let known = [Self::UriFile, Self::UriFolder, Self::MlTable];
        let found = known.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word));
        found.ok_or_else(|| Error::invalid(field, "must be `uri_file`, `uri_folder` or `mltable`"))
    }
}

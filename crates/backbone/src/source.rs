//! What an import reads: by a path, or by the name of a repository of the Hub.

use std::path::{Path, PathBuf};

use crate::hub::{Hub, HubId};
use crate::{BackboneError, Checkpoint, FolderModel, GgufModel, Progress};

/// Where a backbone comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A GGUF file.
    File(PathBuf),
    /// A folder in Hugging Face layout.
    Folder(PathBuf),
    /// A repository of the Hub.
    Hub(HubId, Hub),
}

impl Source {
    /// What a text names: a file or a folder where there is one, else a repository of the Hub.
    ///
    /// # Errors
    /// When nothing is there and the text is no name of a repository.
    pub fn find(text: &str) -> Result<Self, BackboneError> {
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        match HubId::parse(text).filter(|_| !path.exists()) {
            Some(id) => Ok(Self::Hub(id, Hub::from_environment())),
            None if path.exists() => Ok(Self::File(path)),
            None => Err(BackboneError::invalid(
                &path,
                "is not there; give a .gguf file, a folder, or a repository of the Hub as organisation/name",
            )),
        }
    }

    /// The checkpoint, and the commit of the Hub that it is.
    pub(crate) fn open(
        &self,
        progress: &mut Progress<'_>,
    ) -> Result<(Box<dyn Checkpoint>, Option<String>), BackboneError> {
        match self {
            Self::File(path) => {
                check_name(path)?;
                Ok((Box::new(GgufModel::open(path)?), None))
            }
            Self::Folder(path) => Ok((Box::new(FolderModel::open(path)?), None)),
            Self::Hub(id, hub) => {
                let snapshot = hub.snapshot(id, progress)?;
                Ok((Box::new(FolderModel::open(&snapshot.folder)?), Some(snapshot.commit)))
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Hub(id, _) => write!(f, "{id}"),
        }
    }
}

/// Files of other kinds by their endings, with what to give instead.
fn check_name(path: &Path) -> Result<(), BackboneError> {
    let remedy = match path.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors" | "json") => "is one file of a checkpoint; give the folder that it lies in",
        Some("bin" | "pt" | "pth" | "ckpt") => {
            "is a pickled checkpoint, which is not read; save it as safetensors with transformers and give the folder"
        }
        _ => return Ok(()),
    };
    Err(BackboneError::invalid(path, remedy))
}

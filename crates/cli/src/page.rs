//! Where the built page is, which sites are made from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// `web/dist` of the working directory where there is one, else of the source tree this program was built from.
pub(crate) fn folder() -> PathBuf {
    let here = Path::new("web/dist");
    if here.join("index.html").is_file() {
        return here.into();
    }
    let tree = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist"));
    if tree.is_dir() { tree.into() } else { here.into() }
}

/// The same folder, for a command that makes a site of its own.
///
/// # Errors
/// Where the page is not built.
pub(crate) fn built() -> Result<PathBuf> {
    let folder = folder();
    if !folder.join("index.html").is_file() {
        bail!("{}: has no built page (index.html); build it with scripts/web.sh", folder.display());
    }
    Ok(folder)
}

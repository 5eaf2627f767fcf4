//! Where the built page is, which sites are made from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Of the source tree that this program was built from. A released program was built on another machine.
const TREE: Option<&str> = match option_env!("PAIR2SCORE_RELEASE") {
    Some(_) => None,
    None => Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist")),
};

/// `web/dist` of the working directory where there is one, else of the source tree.
pub(crate) fn folder() -> PathBuf {
    let here = Path::new("web/dist");
    if here.join("index.html").is_file() {
        return here.into();
    }
    TREE.map(Path::new).filter(|tree| tree.is_dir()).unwrap_or(here).into()
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

//! Where the built page is, which sites are made from.

use std::path::{Path, PathBuf};

/// `web/dist` of the working directory where there is one, else of the source tree this program was built from.
pub(crate) fn folder() -> PathBuf {
    let here = Path::new("web/dist");
    if here.join("index.html").is_file() {
        return here.into();
    }
    let tree = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist"));
    if tree.is_dir() { tree.into() } else { here.into() }
}

//! A whole scorer as a manifest and shards of bytes, made for a page: small files that are fetched one at a time,
//! each with its hash.
//!
//! The key decision: the bundle is one stream of bytes cut into shards. Tensors lie in it one after the other, in the
//! order of the manifest and without gaps, and one that does not end in its shard goes on at the start of the next.
//! So a shard is never larger than a page wants to hold, whatever the size of a tensor, and a loader needs one shard
//! and one tensor in memory. The backbone is there once, unmerged, with every adapter beside it, so that all kinds of
//! scorers are the same to whoever loads one. The format is described in `docs/web.md`.

mod dtype;
mod folder;
mod host_table;
mod loader;
mod manifest;
mod rehead;
mod share;
mod writer;

pub use dtype::BundleDType;
pub use folder::{BUNDLE, MANIFEST};
pub(crate) use folder::{find, load};
pub use host_table::HostTableEncoder;
pub use loader::BundleLoader;
pub use manifest::{BundleError, Golden, Manifest, PerTrait, ShardEntry, TensorEntry, TokenizerEntry};
pub use rehead::{Reheaded, rehead};
pub use share::Share;
pub use writer::{Matrices, write_bundle};

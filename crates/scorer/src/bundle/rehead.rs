//! A bundle whose heads are replaced.
//!
//! The heads, and the anchors that were chosen by them, are the end of the stream. So all shards before them stay what they are, and whoever has the bundle gets
//! another scorer for the bytes of a head.

use pair2score_model::Kernels;

use super::loader::verify;
use super::manifest::{BundleError, Golden, Manifest, component};
use super::writer::{Stream, checked_text, portable};
use crate::Scorer;
use crate::encoder::Embedder;

/// What replaces the end of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Reheaded {
    /// The text of `manifest.json`.
    pub manifest: String,
    /// Names and bytes of the shards that are new; the others of the manifest are those of the bundle before.
    pub shards: Vec<(String, Vec<u8>)>,
}

impl Manifest {
    /// The shard in which the heads and anchors begin, and where in it; without heads, the end of the last shard.
    ///
    /// # Errors
    /// When something else comes after a head.
    pub fn heads_begin(&self) -> Result<(usize, usize), BundleError> {
        let utilities = self.scorer.relative.iter().flat_map(|files| &files.heads);
        let scores = self.scorer.score.iter().flat_map(|files| &files.heads).map(|file| &file.path);
        let anchors = self.scorer.anchors.iter().map(|anchors| &anchors.embeddings);
        let heads: Vec<String> =
            utilities.chain(scores).chain(anchors).map(|head| format!("{}/", component(head))).collect();
        let is_head = |name: &str| heads.iter().any(|head| name.starts_with(head));
        let others = self.tensors.iter().take_while(|tensor| !is_head(&tensor.name)).count();
        if !self.tensors[others..].iter().all(|tensor| is_head(&tensor.name)) {
            let problem =
                "has tensors after its heads, so that these cannot be replaced; export the scorer again";
            return Err(BundleError::Manifest(problem.into()));
        }
        let end = || (self.shards.len() - 1, self.shards.last().map_or(0, |shard| shard.bytes as usize));
        Ok(self.tensors.get(others).map_or_else(end, |tensor| (tensor.shard, tensor.offset as usize)))
    }
}

/// Puts the heads of `scorer`, which was made of the bundle of `manifest`, in the place of its own. `shard` is the shard in
/// which [these begin](Manifest::heads_begin), and `golden` what the new scorer says.
///
/// # Errors
/// When the shard is another one, or the result is no bundle.
pub fn rehead<B: Kernels, E: Embedder<B>>(
    manifest: &Manifest,
    shard: &[u8],
    scorer: &Scorer<B, E>,
    golden: Vec<Golden>,
) -> Result<Reheaded, BundleError> {
    let (index, offset) = manifest.heads_begin()?;
    let entry = &manifest.shards[index];
    verify(&entry.file, shard, entry.bytes, &entry.sha256)?;
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    let mut write = |file: &str, bytes: &[u8]| {
        written.push((file.to_owned(), bytes.to_vec()));
        Ok(())
    };
    let mut stream = Stream::new(&mut write, Manifest::MAX_SHARD);
    stream.shards = manifest.shards[..index].to_vec();
    stream.buffer = shard[..offset].to_vec();
    let before = |tensor: &&super::TensorEntry| (tensor.shard, tensor.offset as usize) < (index, offset);
    stream.tensors = manifest.tensors.iter().filter(before).cloned().collect();
    let settings = portable(&scorer.settings);
    stream.put_end(scorer, &settings);
    let (shards, tensors, _) = stream.finish()?;
    let manifest = Manifest { scorer: settings, shards, tensors, golden, ..manifest.clone() };
    Ok(Reheaded { manifest: checked_text(&manifest)?, shards: written })
}

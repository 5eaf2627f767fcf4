//! Graded documents that a scorer remembers, and which of them resemble a text.
//!
//! A number alone says little, and a document of a known grade beside it much. So training leaves some documents of each
//! grade with the scorer: their ids and labels in `scorer.json`, and where they lie among embeddings in a file beside it.
//! Embeddings are standardised on the documents that the anchors were chosen from, because a few large directions, which
//! all texts share, would decide every comparison else; and two of them are as near as their directions are (cosine), so
//! that short texts, which lie far out, have their neighbours too.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dtype::WeightDType;
use crate::tensor_file::TensorFile;
use crate::tensors::{StoredTensor, write_tensors};
use crate::{ScorerError, names};

/// The anchors as `scorer.json` has them. Written by training, which chooses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchors {
    /// The file with [where they lie](AnchorSpace); in a bundle, the first part of the names of its tensors.
    pub embeddings: PathBuf,
    /// The documents, in the order of their embeddings; at least one.
    pub documents: Vec<AnchorDocument>,
}

/// A document whose labels are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorDocument {
    /// What the data call it.
    pub id: String,
    /// Its label in each trait that it is an anchor of, in the order of the traits.
    pub labels: Vec<Option<f64>>,
    /// The document itself, where the configuration asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Anchors {
    /// The file in the folder of a scorer.
    pub const FILE: &str = "anchors.safetensors";

    /// Checks that they fit a scorer of so many traits.
    pub(crate) fn validate(&self, traits: usize) -> Result<(), String> {
        if self.documents.is_empty() {
            return Err("has anchors but no document among them, remove its `anchors`".into());
        }
        for AnchorDocument { id, labels, .. } in &self.documents {
            if labels.len() != traits {
                return Err(format!("has an anchor {id:?} with {} labels for {traits} traits", labels.len()));
            }
            if !labels.iter().flatten().all(|label| label.is_finite()) || labels.iter().all(Option::is_none) {
                return Err(format!("has an anchor {id:?} whose labels are no numbers"));
            }
        }
        Ok(())
    }
}

/// Where anchors lie among embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorSpace {
    /// What is taken from an embedding, `[width]`.
    pub(crate) mean: Vec<f32>,
    /// What it is then multiplied by: one over the deviation, 0 where there is none, `[width]`.
    pub(crate) scale: Vec<f32>,
    /// The direction of each anchor, of length 1, `[documents, width]`.
    pub(crate) directions: Vec<f32>,
}

/// An anchor and how near it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Its place among the anchors.
    pub anchor: usize,
    /// The cosine of the standardised embeddings, -1 to 1.
    pub similarity: f64,
}

impl AnchorSpace {
    /// The space of some embeddings of one width, at least one, in which none is an anchor yet.
    pub fn around<'e>(embeddings: impl Iterator<Item = &'e [f32]> + Clone) -> Self {
        let n = embeddings.clone().count().max(1) as f64;
        let width = embeddings.clone().next().map_or(0, <[f32]>::len);
        let mean_of = |value: &dyn Fn(usize, f32) -> f64| {
            let mut sums = vec![0.0; width];
            for embedding in embeddings.clone() {
                sums.iter_mut().zip(embedding).enumerate().for_each(|(i, (sum, &e))| *sum += value(i, e));
            }
            sums.into_iter().map(|sum| sum / n).collect::<Vec<f64>>()
        };
        let mean = mean_of(&|_, e| e.into());
        let deviation = mean_of(&|i, e| (f64::from(e) - mean[i]).powi(2)).into_iter().map(f64::sqrt);
        // A smaller deviation is the rounding of the embedding.
        let scale =
            deviation.zip(&mean).map(|(d, m)| if d > 1e-6 * m.abs() { (1.0 / d) as f32 } else { 0.0 });
        Self {
            scale: scale.collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
            directions: Vec::new(),
        }
    }

    /// The direction of an embedding from the middle, of length 1; nothing but zeros in the middle itself.
    pub fn direction(&self, embedding: &[f32]) -> Vec<f32> {
        let standard = embedding.iter().zip(&self.mean).zip(&self.scale);
        let standard: Vec<f32> = standard.map(|((e, mean), scale)| (e - mean) * scale).collect();
        let length = cosine(&standard, &standard).sqrt();
        standard
            .into_iter()
            .map(|e| if length > 0.0 { (f64::from(e) / length) as f32 } else { 0.0 })
            .collect()
    }

    /// The same space with anchors at these embeddings, rounded as a file keeps them.
    pub fn with_anchors<'e>(self, embeddings: impl Iterator<Item = &'e [f32]>) -> Self {
        let rounded = |e: f32| WeightDType::F16.rounded(e);
        let directions = embeddings.flat_map(|embedding| self.direction(embedding)).map(rounded).collect();
        Self { directions, ..self }
    }

    /// The anchors of those that `wanted` accepts that are nearest to an embedding, `n` at most, the nearest first.
    pub(crate) fn nearest(&self, embedding: &[f32], n: usize, wanted: impl Fn(usize) -> bool) -> Vec<Near> {
        let direction = self.direction(embedding);
        let anchors = self.directions.chunks_exact(self.mean.len().max(1)).enumerate();
        let anchors = anchors.filter(|(anchor, _)| wanted(*anchor));
        let mut near: Vec<Near> =
            anchors.map(|(anchor, other)| Near { anchor, similarity: cosine(&direction, other) }).collect();
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        near.truncate(n);
        near
    }

    /// The names and shapes of its tensors, of so many anchors and embeddings of this width.
    pub(crate) fn shapes(anchors: usize, width: usize) -> [(String, Vec<usize>); 3] {
        let [mean, scale, directions] = names::ANCHORS.map(str::to_owned);
        [(mean, vec![width]), (scale, vec![width]), (directions, vec![anchors, width])]
    }

    /// Its tensors.
    pub(crate) fn tensors(&self) -> [(String, StoredTensor); 3] {
        let width = self.mean.len();
        let shapes = Self::shapes(self.directions.len() / width.max(1), width);
        let values = [&self.mean, &self.scale, &self.directions];
        let dtypes = [WeightDType::F32, WeightDType::F32, WeightDType::F16];
        let mut parts = values.into_iter().zip(dtypes);
        shapes.map(|(name, shape)| {
            let (values, dtype) = parts.next().expect("three of each");
            (name, StoredTensor { shape, values: values.clone(), dtype })
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ScorerError> {
        write_tensors(path, &self.tensors().into(), &[])
    }

    /// Reads the file of so many anchors, for embeddings of this width.
    ///
    /// # Errors
    /// When its tensors are others.
    pub(crate) fn load(path: &Path, anchors: usize, width: usize) -> Result<Self, ScorerError> {
        let file = TensorFile::open(path)?;
        file.expect(&Self::shapes(anchors, width), |_| false)?;
        let [mean, scale, directions] = names::ANCHORS.map(|name| file.stored(name));
        Ok(Self { mean: mean?.values, scale: scale?.values, directions: directions?.values })
    }
}

/// The product of two vectors: of directions, the cosine.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around (1, 10) with deviations of 1 and 10, and a third number that is always the same.
    fn space() -> AnchorSpace {
        let around = [[0.0f32, 0.0, 7.0], [2.0, 20.0, 7.0], [0.0, 20.0, 7.0], [2.0, 0.0, 7.0]];
        AnchorSpace::around(around.iter().map(|row| &row[..]))
    }

    #[test]
    fn a_direction_is_standardised() {
        let space = space();
        assert_eq!((&space.mean[..], &space.scale[..]), (&[1.0, 10.0, 7.0][..], &[1.0, 0.1, 0.0][..]));
        // 3 and 4 deviations away, whatever the third number is.
        let direction = space.direction(&[4.0, 50.0, 9.0]);
        assert!((direction[0] - 0.6).abs() < 1e-6 && (direction[1] - 0.8).abs() < 1e-6, "{direction:?}");
        assert_eq!(space.direction(&[1.0, 10.0, 7.0]), [0.0; 3]);
    }

    #[test]
    fn the_nearest_have_the_largest_cosines() {
        // East, north-east, north and west of the middle, at different distances.
        let anchors = [[9.0f32, 10.0, 7.0], [1.5, 15.0, 7.0], [1.0, 90.0, 7.0], [0.0, 10.0, 7.0]];
        let space = space().with_anchors(anchors.iter().map(|row| &row[..]));
        let near = space.nearest(&[2.0, 10.0, 7.0], 3, |_| true);
        assert_eq!(near.iter().map(|near| near.anchor).collect::<Vec<_>>(), [0, 1, 2]);
        let cosines = [1.0, std::f64::consts::FRAC_1_SQRT_2, 0.0];
        // Half a unit in the last place of f16.
        assert!(
            near.iter().zip(cosines).all(|(near, cosine)| (near.similarity - cosine).abs() < 3e-4),
            "{near:?}"
        );
        let others = space.nearest(&[2.0, 10.0, 7.0], 9, |anchor| anchor > 0);
        assert_eq!(others.iter().map(|near| near.anchor).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_are_no_anchors_is_refused() {
        let anchors = |labels: Vec<Option<f64>>| Anchors {
            embeddings: Anchors::FILE.into(),
            documents: vec![AnchorDocument { id: "d".into(), labels, text: None }],
        };
        anchors(vec![None, Some(2.0)]).validate(2).unwrap();
        for (broken, problem) in [
            (anchors(vec![Some(2.0)]), "1 labels for 2 traits"),
            (anchors(vec![None, None]), "no numbers"),
            (anchors(vec![None, Some(f64::NAN)]), "no numbers"),
            (Anchors { documents: Vec::new(), ..anchors(Vec::new()) }, "no document"),
        ] {
            let error = broken.validate(2).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}

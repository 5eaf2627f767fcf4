//! What is known of documents before anybody judges them: what a scorer says of them, and what their texts tell.
//!
//! Utilities are `u = F · z + δ`. The columns of `F` are what a trained scorer says (centred, deviation 1) and the
//! embeddings (standardised on the documents, divided by √d, along their leading directions); δ is what neither tells.
//! Coefficients have normal priors: that of the scorer around a positive mean, since a scorer that was trained for the
//! trait says something before the first judgement; those of the texts around 0, all with one standard deviation, which
//! is then the spread of utilities that texts account for.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use pair2score_heads::{Standardisation, leading_directions};

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
use crate::scale::ScoreScale;

/// Directions of embeddings, at most: the work of a fit grows with the square of their number.
const MOST_DIRECTIONS: usize = 128;

/// Logits per standard deviation of what a scorer says: mean and standard deviation of the prior.
const SCORER: (f64, f64) = (1.4, 1.0);

/// What is known of documents beside their judgements; nothing in the simplest case.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `[n, k]`: the scorer's column where there is one, then those of the texts.
    matrix: Array2<f64>,
    scorer: Option<Scale>,
    texts: Option<Texts>,
}

/// Mean and deviation of what a scorer says of the documents.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    mean: f64,
    deviation: f64,
}

/// From embeddings to columns.
#[derive(Debug, Clone, PartialEq)]
struct Texts {
    standardisation: Standardisation,
    /// `[r, d]`
    directions: Array2<f64>,
}

/// A number, a utility or a score, as a linear map of what is known of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearHead {
    /// Per unit of what the scorer says; `None` without a scorer.
    pub scorer: Option<f64>,
    /// `[d]`, per unit of an embedding as it is; empty without embeddings.
    pub weights: Vec<f64>,
    /// Of a utility: its mean is 0 on the documents that it was fitted to.
    pub intercept: f64,
}

/// What judgements and the grades of some documents say about texts to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedHeads {
    /// What was judged.
    pub target: String,
    /// What a score can be.
    pub scale: ScoreScale,
    /// To the utility.
    pub utility: LinearHead,
    /// To the score; it may leave the scale.
    pub score: LinearHead,
    /// Grades of documents, each with the score that the others give it as one that nobody judged.
    #[serde(default)]
    pub unseen: Vec<(f64, f64)>,
}

impl Features {
    /// Nothing is known of `n` documents.
    pub fn none(n: usize) -> Self {
        Self { matrix: Array2::zeros((n, 0)), scorer: None, texts: None }
    }

    /// What a scorer says of each document, in any unit (more is better), their embeddings `[n, d]`, or both.
    ///
    /// # Errors
    /// A number that is not finite.
    ///
    /// # Panics
    /// When the two are of different numbers of documents.
    pub fn new(predictions: Option<&[f64]>, embeddings: Option<ArrayView2<'_, f32>>) -> Result<Self> {
        let n = predictions.map(<[f64]>::len).or(embeddings.map(|rows| rows.nrows())).unwrap_or(0);
        let mut columns = Array2::zeros((n, 0));
        let scorer = predictions.map(Scale::of).transpose()?;
        if let (Some(said), Some(scale)) = (predictions, scorer) {
            let column: Array1<f64> = said.iter().map(|&value| scale.standard(value)).collect();
            columns.push_column(column.view()).expect("one number per document");
        }
        let mut texts = None;
        if let Some(embeddings) = embeddings {
            assert_eq!(embeddings.nrows(), n, "as many embeddings as predictions");
            let standardisation = Standardisation::of(embeddings)
                .map_err(|error| DataError::setting(error.to_string(), "use other embeddings"))?;
            let x = standardisation.apply(embeddings) / (embeddings.ncols() as f64).sqrt();
            let directions = leading_directions(x.view(), MOST_DIRECTIONS);
            let along = x.dot(&directions.t());
            columns = ndarray::concatenate(Axis(1), &[columns.view(), along.view()]).expect("as many rows");
            texts = Some(Texts { standardisation, directions });
        }
        // Row by row in memory, as they are read.
        Ok(Self { matrix: columns.as_standard_layout().into_owned(), scorer, texts })
    }

    /// As [`new`](Self::new), from one row of numbers per document: its embedding, and last what a scorer says of it, if it
    /// says something. `said` is then the place of the number that counts, and how many there are. Without rows nothing is
    /// known of the `n` documents.
    ///
    /// # Errors
    /// A number that is not finite, and rows of other documents.
    pub fn of_rows(n: usize, rows: &[f32], said: Option<(usize, usize)>) -> Result<Self> {
        if rows.is_empty() {
            return Ok(Self::none(n));
        }
        let width = rows.len().checked_div(n).unwrap_or(0);
        let numbers = said.map_or(0, |(_, numbers)| numbers);
        let fits = rows.len() == n * width && width > numbers;
        let matrix = ArrayView2::from_shape((n, width), rows).ok().filter(|_| fits);
        let matrix = matrix.ok_or_else(|| {
            DataError::setting(
                format!("a scorer's word on other than {n} documents"),
                "let it read all of them",
            )
        })?;
        let (embeddings, of_scorer) = matrix.split_at(Axis(1), width - numbers);
        let said: Option<Vec<f64>> =
            said.map(|(place, _)| of_scorer.column(place).iter().map(|&number| number.into()).collect());
        Self::new(said.as_deref(), Some(embeddings))
    }

    /// Number of documents.
    pub fn n(&self) -> usize {
        self.matrix.nrows()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.matrix.ncols() == 0
    }

    /// Whether a scorer says something.
    pub fn has_scorer(&self) -> bool {
        self.scorer.is_some()
    }

    /// `F`, `[n, k]`.
    pub(super) fn matrix(&self) -> ArrayView2<'_, f64> {
        self.matrix.view()
    }

    /// The coefficients of the texts.
    pub(super) fn of_texts<'a>(&self, coefficients: ArrayView1<'a, f64>) -> ArrayView1<'a, f64> {
        coefficients.slice_move(s![usize::from(self.has_scorer())..])
    }

    /// Means and precisions of the coefficients' prior, where those of the texts have this standard deviation.
    pub(super) fn prior(&self, text_sd: f64) -> (Array1<f64>, Array1<f64>) {
        let k = self.matrix.ncols();
        let (mut means, mut precisions) = (Array1::zeros(k), Array1::from_elem(k, text_sd.powi(-2)));
        if self.has_scorer() {
            (means[0], precisions[0]) = (SCORER.0, SCORER.1.powi(-2));
        }
        (means, precisions)
    }

    /// The map that coefficients stand for.
    pub fn head(&self, coefficients: &[f64]) -> LinearHead {
        let coefficients = ArrayView1::from(coefficients);
        let mut intercept = 0.0;
        let scorer = self.scorer.map(|scale| {
            let slope = coefficients[0] / scale.deviation;
            intercept -= slope * scale.mean;
            slope
        });
        let weights = self.texts.as_ref().map(|Texts { standardisation, directions }| {
            let along = self.of_texts(coefficients);
            let weights = directions.t().dot(&along) / (directions.ncols() as f64).sqrt();
            let (weights, shift) = standardisation.fold(weights.view());
            intercept += shift;
            weights.to_vec()
        });
        let weights = weights.unwrap_or_default();
        LinearHead { scorer, weights, intercept }
    }
}

impl Scale {
    fn of(said: &[f64]) -> Result<Self> {
        if let Some(place) = said.iter().position(|value| !value.is_finite()) {
            let what = format!("document {place} has a prediction that is not finite");
            return Err(DataError::setting(what, "use another scorer"));
        }
        let n = said.len().max(1) as f64;
        let mean = said.iter().sum::<f64>() / n;
        let deviation = (said.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        // What rounding leaves of equal predictions is no deviation.
        Ok(Self { mean, deviation: if deviation > 1e-12 * mean.abs() { deviation } else { 1.0 } })
    }

    fn standard(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_head_says_what_the_columns_say() {
        let rows = array![[1.0_f32, -2.0, 0.5], [3.0, 0.5, 0.0], [-5.0, 7.0, 2.0], [0.0, 1.0, 1.0]];
        let said = [2.0, 3.0, 5.5, 1.0];
        let features = Features::new(Some(&said), Some(rows.view())).unwrap();
        assert_eq!(features.matrix().dim(), (4, 4));
        let coefficients = array![1.3, 0.4, -0.9, 2.0];
        let expected = features.matrix().dot(&coefficients);
        let head = features.head(coefficients.as_slice().unwrap());
        let weights = head.weights;
        for (place, expected) in expected.iter().enumerate() {
            let text: f64 = rows.row(place).iter().zip(&weights).map(|(&x, w)| f64::from(x) * w).sum();
            let utility = head.scorer.unwrap() * said[place] + text + head.intercept;
            assert!((utility - expected).abs() < 1e-12);
        }
        assert!(expected.sum().abs() < 1e-12, "columns are centred");
    }

    #[test]
    fn columns_have_the_size_that_the_prior_speaks_of() {
        let rows = Array2::from_shape_fn((30, 200), |(i, j)| ((i * 131 + j * 71 + i * j * 13) as f32).sin());
        let features = Features::new(None, Some(rows.view())).unwrap();
        // Twenty-nine directions hold all of thirty centred rows: their squares add up to 1 per document.
        assert_eq!(features.matrix().ncols(), 29);
        let squares = features.matrix().iter().map(|value| value * value).sum::<f64>();
        assert!((squares / 30.0 - 1.0).abs() < 1e-9, "{squares}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let message = |error: DataError| error.to_string();
        let said = Features::new(Some(&[1.0, f64::NAN]), None).map_err(message).unwrap_err();
        assert!(said.starts_with("document 1 has a prediction"), "{said}");
        let rows = array![[1.0_f32], [f32::INFINITY]];
        let embedded = Features::new(None, Some(rows.view())).map_err(message).unwrap_err();
        assert!(embedded.starts_with("document 1 has an embedding"), "{embedded}");
        // Equal predictions tell nothing and break nothing.
        let equal = Features::new(Some(&[2.0; 3]), None).unwrap();
        assert!(equal.matrix().iter().all(|&value| value == 0.0));
    }
}

//! Components of embeddings on one scale.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::HeadError;

/// Mean and deviation of every component over some documents.
///
/// Components of a pooled embedding differ by orders of magnitude (a few carry most of the norm), and a penalty treats
/// them alike only once they are on one scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardisation {
    /// `[d]`
    pub mean: Array1<f64>,
    /// `[d]`, above 0: the standard deviation over all documents, and 1 for a component that never changes.
    pub deviation: Array1<f64>,
}

impl Standardisation {
    /// The means and spreads of the columns of embeddings `[n, d]`.
    ///
    /// # Errors
    /// When there is no document, or a component is not finite.
    pub fn of(embeddings: ArrayView2<'_, f32>) -> Result<Self, HeadError> {
        let [n, d] = [embeddings.nrows(), embeddings.ncols()];
        if n == 0 {
            return Err(HeadError::TooFew { n, least: 1 });
        }
        if let Some(row) = embeddings.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
            return Err(HeadError::NotFinite { row, what: "an embedding" });
        }
        let mut mean = Array1::zeros(d);
        for row in embeddings.outer_iter() {
            mean.zip_mut_with(&row, |mean, &x| *mean += f64::from(x));
        }
        mean /= n as f64;
        let mut squares = Array1::<f64>::zeros(d);
        for row in embeddings.outer_iter() {
            ndarray::Zip::from(&mut squares).and(&row).and(&mean).for_each(|square, &x, mean| {
                *square += (f64::from(x) - mean).powi(2);
            });
        }
        // What rounding leaves of a constant component is no deviation.
        let deviation = ndarray::Zip::from(&squares).and(&mean).map_collect(|square, mean| {
            let deviation = (square / n as f64).sqrt();
            if deviation > 1e-12 * mean.abs() { deviation } else { 1.0 }
        });
        Ok(Self { mean, deviation })
    }

    /// Standardised rows, `[n, d]`.
    pub fn apply(&self, embeddings: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut rows = embeddings.mapv(f64::from);
        rows -= &self.mean.view().insert_axis(Axis(0));
        rows /= &self.deviation.view().insert_axis(Axis(0));
        rows
    }

    /// A linear map of standardised embeddings as one of embeddings as they are: weights `[d]`, and what is to be added
    /// to the intercept.
    pub fn fold(&self, weights: ArrayView1<'_, f64>) -> (Array1<f64>, f64) {
        let folded = &weights / &self.deviation;
        let shift = -folded.dot(&self.mean);
        (folded, shift)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn components_get_mean_0_and_deviation_1() {
        let rows = array![[1.0_f32, 5.0], [3.0, 5.0], [5.0, 5.0]];
        let standardisation = Standardisation::of(rows.view()).unwrap();
        assert_eq!(standardisation.mean, array![3.0, 5.0]);
        // √((4 + 0 + 4) / 3), and 1 for the component that never changes.
        assert!((standardisation.deviation[0] - (8.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(standardisation.deviation[1], 1.0);
        let applied = standardisation.apply(rows.view());
        assert!((applied[[2, 0]] - 1.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(applied.column(1), array![0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_folded_map_gives_the_same_numbers() {
        let rows = array![[1.0_f32, -2.0], [3.0, 0.5], [-5.0, 7.0]];
        let standardisation = Standardisation::of(rows.view()).unwrap();
        let weights = array![0.3, -1.7];
        let (folded, shift) = standardisation.fold(weights.view());
        let before = standardisation.apply(rows.view()).dot(&weights);
        let after = rows.mapv(f64::from).dot(&folded) + shift;
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let rows = array![[1.0_f32], [f32::NAN]];
        let error = Standardisation::of(rows.view()).unwrap_err();
        assert_eq!(error.to_string(), "document 1 has an embedding that is not finite");
    }
}

//! Ridge regression from embeddings to labels.
//!
//! Minimises `Σ (y − b − x · w)² + λ · |w|²` over standardised embeddings `x`, for every target at once. The penalty λ is
//! the one with the smallest generalised cross-validation error (Golub, Heath and Wahba 1979),
//! `n · Σ (y − ŷ)² / (n − tr H)²`, of a fixed list; `H` is the matrix that takes labels to predictions. The error of
//! document `i`, had it been left out, is `(y − ŷ) / (1 − Hᵢᵢ)`: so every label is used for the fit, and its
//! document is still judged by a head that did not see it. (Mean and deviation of the embeddings stay those of all
//! documents; they do not depend on labels.)
//!
//! Documents may have weights, such as the inverse variances of their labels: their squared errors count so many times.
//! That is the problem above with rows `√vᵢ · (xᵢ − x̄, yᵢ − ȳ)` for weights `v` of mean 1, where x̄ and ȳ are weighted means.
//!
//! Where there are fewer documents than components, the same solution is found among combinations of documents.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::cholesky::Cholesky;
use crate::{HeadError, Standardisation};

/// With fewer documents, what is left after one is taken away says nothing.
const LEAST: usize = 3;

/// Penalties that are tried, on standardised embeddings: half decades from 0.01 to a million. The error is so flat
/// around its smallest value that a finer list changes nothing that can be measured.
pub fn penalties() -> impl Iterator<Item = f64> {
    (-4..=12).map(|half_decades| 10_f64.powf(f64::from(half_decades) / 2.0))
}

/// A fitted head of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge {
    /// `[d]`, for embeddings as they are: standardisation is folded in.
    pub weights: Array1<f64>,
    /// In units of the label.
    pub intercept: f64,
    /// The chosen λ, for standardised embeddings.
    pub penalty: f64,
    /// Per document, what a head fitted to all others predicts of it, with the same λ, in units of the label.
    pub leave_one_out: Vec<f64>,
}

impl Ridge {
    /// Predictions of embeddings `[n, d]`, in units of the label.
    pub fn predict(&self, embeddings: ArrayView2<'_, f32>) -> Vec<f64> {
        let predict = |row: ndarray::ArrayView1<'_, f32>| {
            self.intercept + row.iter().zip(&self.weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>()
        };
        embeddings.outer_iter().map(predict).collect()
    }
}

/// Fits a head to each column of `labels`.
///
/// # Shapes
/// - embeddings: `[n, d]`
/// - labels: `[n, targets]`, in any units
/// - weights: one per document, above 0, in any units; `None` where all count alike
///
/// # Errors
/// With fewer than three documents, or a number that is not finite.
///
/// # Panics
/// When embeddings, labels and weights are not of the same number of documents.
pub fn ridge(
    embeddings: ArrayView2<'_, f32>,
    labels: ArrayView2<'_, f64>,
    weights: Option<&[f64]>,
) -> Result<Vec<Ridge>, HeadError> {
    let n = embeddings.nrows();
    assert_eq!(n, labels.nrows(), "as many labels as embeddings");
    assert!(weights.is_none_or(|weights| weights.len() == n), "as many weights as embeddings");
    if n < LEAST {
        return Err(HeadError::TooFew { n, least: LEAST });
    }
    if let Some(row) = labels.outer_iter().position(|row| row.iter().any(|y| !y.is_finite())) {
        return Err(HeadError::NotFinite { row, what: "a label" });
    }
    if let Some(row) = weights.and_then(|weights| weights.iter().position(|v| !(v.is_finite() && *v > 0.0))) {
        return Err(HeadError::NotFinite { row, what: "a weight" });
    }
    let standardisation = Standardisation::of(embeddings)?;
    let mut x = standardisation.apply(embeddings);
    let mut y = labels.to_owned();
    let roots = weights.map(square_roots);
    let (centre, means) = (weigh(&mut x, roots.as_ref()), weigh(&mut y, roots.as_ref()));
    let problem = Problem::new(x, y, roots.as_ref());
    let mut best: Vec<(f64, f64)> = vec![(f64::INFINITY, f64::NAN); labels.ncols()];
    for penalty in penalties() {
        // Too small a penalty for this matrix in double precision: a larger one follows.
        let Some(errors) = problem.cross_validation_errors(penalty) else { continue };
        for (best, error) in best.iter_mut().zip(errors) {
            if error < best.0 {
                *best = (error, penalty);
            }
        }
    }
    // Targets that share a penalty share its factorisation.
    let mut heads: Vec<Option<Ridge>> = vec![None; labels.ncols()];
    for (first, &(_, penalty)) in best.iter().enumerate() {
        if heads[first].is_some() {
            continue;
        }
        let targets: Vec<usize> = (first..best.len()).filter(|&target| best[target].1 == penalty).collect();
        let Solution { weights, left_out_errors } = problem.solution(penalty, &targets);
        for (column, &target) in targets.iter().enumerate() {
            let from_centre = weights.column(column).dot(&centre);
            let (weights, shift) = standardisation.fold(weights.column(column));
            let leave_one_out = labels.column(target).into_iter().zip(left_out_errors.column(column));
            let leave_one_out = leave_one_out.map(|(label, error)| label - error).collect();
            heads[target] = Some(Ridge {
                weights,
                intercept: means[target] + shift - from_centre,
                penalty,
                leave_one_out,
            });
        }
    }
    Ok(heads.into_iter().flatten().collect())
}

/// Square roots of weights whose mean is made 1.
fn square_roots(weights: &[f64]) -> Array1<f64> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.iter().map(|weight| (weight / mean).sqrt()).collect()
}

/// Takes the weighted mean of the rows away from each, multiplies each by the root of its weight, and gives the mean.
fn weigh(rows: &mut Array2<f64>, roots: Option<&Array1<f64>>) -> Array1<f64> {
    let n = rows.nrows() as f64;
    let mean = match roots {
        None => rows.mean_axis(Axis(0)).expect("there are documents"),
        Some(roots) => (roots * roots).dot(rows) / n,
    };
    *rows -= &mean.view().insert_axis(Axis(0));
    if let Some(roots) = roots {
        *rows *= &roots.view().insert_axis(Axis(1));
    }
    mean
}

/// Standardised embeddings and centred labels, both weighted, with the smaller of the two matrices of products between
/// them.
struct Problem {
    /// `[n, d]`
    x: Array2<f64>,
    /// `[n, targets]`
    y: Array2<f64>,
    /// `xᵀ · x`, or `x · xᵀ` where there are fewer documents than components.
    products: Array2<f64>,
    /// `xᵀ · y`, `[d, targets]`; not needed among documents.
    projected: Option<Array2<f64>>,
    /// Roots of the weights of documents; `None` where all are 1.
    roots: Option<Array1<f64>>,
}

impl Problem {
    fn new(x: Array2<f64>, y: Array2<f64>, roots: Option<&Array1<f64>>) -> Self {
        let (products, projected) = match x.nrows() < x.ncols() {
            true => (x.dot(&x.t()), None),
            false => (x.t().dot(&x), Some(x.t().dot(&y))),
        };
        Self { x, y, products, projected, roots: roots.cloned() }
    }

    /// Factor of the products with λ on the diagonal.
    fn factor(&self, penalty: f64) -> Option<Cholesky> {
        let mut products = self.products.clone();
        products.diag_mut().map_inplace(|value| *value += penalty);
        Cholesky::new(products)
    }

    /// Generalised cross-validation error of every target; `None` where the arithmetic cannot tell.
    fn cross_validation_errors(&self, penalty: f64) -> Option<Vec<f64>> {
        let factor = self.factor(penalty)?;
        let n = self.x.nrows() as f64;
        let inverse_trace: f64 = factor.inverse_lower().iter().map(|value| value * value).sum();
        // Both count 1 for the mean of the labels. Among documents, λ · (xxᵀ + λ)⁻¹ takes labels to residuals; among
        // components, (xᵀx + λ)⁻¹ · λ has what is missing of the trace of H.
        let (residuals, free) = match &self.projected {
            None => (factor.solve(self.y.clone()) * penalty, penalty * inverse_trace - 1.0),
            Some(projected) => {
                let residuals = &self.y - &self.x.dot(&factor.solve(projected.clone()));
                (residuals, n - (self.x.ncols() as f64 - penalty * inverse_trace) - 1.0)
            }
        };
        let error = |squares: f64| n * squares / (free * free);
        (free > 0.0)
            .then(|| residuals.columns().into_iter().map(|column| error(column.dot(&column))).collect())
    }

    /// What these targets come to with this penalty.
    fn solution(&self, penalty: f64, targets: &[usize]) -> Solution {
        let factor = self.factor(penalty).expect("this penalty had an error");
        let n = self.x.nrows() as f64;
        let y = self.y.select(Axis(1), targets);
        let (weights, mut errors, leverages): (_, Array2<f64>, Vec<f64>) = match &self.projected {
            None => {
                let combination = factor.solve(y);
                let inverse = factor.inverse_lower();
                let leverages =
                    inverse.columns().into_iter().map(|column| 1.0 - penalty * column.dot(&column));
                (self.x.t().dot(&combination), combination * penalty, leverages.collect())
            }
            Some(projected) => {
                let weights = factor.solve(projected.select(Axis(1), targets));
                let mut rotated = self.x.t().to_owned();
                factor.solve_lower(rotated.view_mut());
                let leverages = rotated.columns().into_iter().map(|column| column.dot(&column)).collect();
                let residuals = y - self.x.dot(&weights);
                (weights, residuals, leverages)
            }
        };
        for (row, (mut errors, leverage)) in errors.outer_iter_mut().zip(leverages).enumerate() {
            let root = self.roots.as_ref().map_or(1.0, |roots| roots[row]);
            // The mean of the labels has a share of 1 / n in every document's own prediction, times its weight.
            errors /= (1.0 - leverage - root * root / n) * root;
        }
        Solution { weights, left_out_errors: errors }
    }
}

/// Some targets under one penalty.
struct Solution {
    /// `[d, targets]`, for standardised embeddings.
    weights: Array2<f64>,
    /// `[n, targets]`: label less what all other documents predict.
    left_out_errors: Array2<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Embeddings and labels of two targets without a pattern that could hide a mistake.
    fn example(n: usize, d: usize) -> (Array2<f32>, Array2<f64>) {
        let x = Array2::from_shape_fn((n, d), |(i, j)| {
            let value = ((i * 131 + j * 71 + i * j * 13) as f64).sin() * (1.0 + j as f64) + 3.0;
            value as f32
        });
        let noise = |i: usize, t: usize| ((i * 311 + t * 57) as f64).cos();
        let y = Array2::from_shape_fn((n, 2), |(i, t)| {
            let signal: f64 = x.row(i).iter().take(3).map(|&x| f64::from(x)).sum();
            (1.0 + t as f64) * signal + 2.0 * noise(i, t)
        });
        (x, y)
    }

    /// Weights and intercept by the normal equations with an intercept column, solved by elimination, on standardised
    /// embeddings; document `without` does not take part.
    fn by_elimination(x: &Array2<f64>, y: &[f64], penalty: f64, without: Option<usize>) -> Vec<f64> {
        let d = x.ncols() + 1;
        let mut system = vec![vec![0.0; d + 1]; d];
        for (i, row) in x.outer_iter().enumerate().filter(|(i, _)| Some(*i) != without) {
            let row: Vec<f64> = row.iter().copied().chain([1.0, y[i]]).collect();
            for a in 0..d {
                for b in 0..=d {
                    system[a][b] += row[a] * row[b];
                }
            }
        }
        for (a, row) in system.iter_mut().enumerate().take(d - 1) {
            row[a] += penalty;
        }
        for a in 0..d {
            let pivot = (a..d).max_by(|&i, &j| system[i][a].abs().total_cmp(&system[j][a].abs())).unwrap();
            system.swap(a, pivot);
            let row = system[a].clone();
            for (b, other) in system.iter_mut().enumerate().filter(|(b, _)| *b != a) {
                let factor = other[a] / row[a];
                for c in 0..=d {
                    other[c] -= factor * row[c];
                }
                debug_assert!(b != a);
            }
        }
        (0..d).map(|a| system[a][d] / system[a][a]).collect()
    }

    #[test]
    fn weights_and_left_out_predictions_are_those_of_refitting() {
        // More documents than components, and fewer.
        for (n, d) in [(30, 5), (12, 20)] {
            let (x, y) = example(n, d);
            let standardised = Standardisation::of(x.view()).unwrap().apply(x.view());
            for (target, head) in ridge(x.view(), y.view(), None).unwrap().into_iter().enumerate() {
                let labels = y.column(target).to_vec();
                let predict = |solution: &[f64], i: usize| {
                    solution[d] + standardised.row(i).iter().zip(solution).map(|(x, w)| x * w).sum::<f64>()
                };
                let whole = by_elimination(&standardised, &labels, head.penalty, None);
                for (i, prediction) in head.predict(x.view()).into_iter().enumerate() {
                    assert!((prediction - predict(&whole, i)).abs() < 1e-8, "{n} x {d}, document {i}");
                    let others = by_elimination(&standardised, &labels, head.penalty, Some(i));
                    let left_out = predict(&others, i);
                    assert!((head.leave_one_out[i] - left_out).abs() < 1e-8, "{n} x {d}, document {i}");
                }
            }
        }
    }

    #[test]
    fn a_document_of_weight_two_counts_as_two() {
        for (n, d) in [(30, 5), (12, 20)] {
            let (x, y) = example(n, d);
            let weights: Vec<f64> = (0..n).map(|i| if i % 3 == 0 { 2.0 } else { 1.0 }).collect();
            let scaled: Vec<f64> = weights.iter().map(|weight| weight * 7.0).collect();
            let standardised = Standardisation::of(x.view()).unwrap().apply(x.view());
            let mean = weights.iter().sum::<f64>() / n as f64;
            let heads = ridge(x.view(), y.view(), Some(&scaled)).unwrap();
            for (target, head) in heads.into_iter().enumerate() {
                // Each document as often as its weight says; a penalty on more rows is larger by as much.
                let twice: Vec<usize> = (0..n).flat_map(|i| vec![i; weights[i] as usize]).collect();
                let labels: Vec<f64> = twice.iter().map(|&i| y[[i, target]]).collect();
                let rows = standardised.select(Axis(0), &twice);
                let predict = |solution: &[f64], i: usize| {
                    solution[d] + standardised.row(i).iter().zip(solution).map(|(x, w)| x * w).sum::<f64>()
                };
                let whole = by_elimination(&rows, &labels, head.penalty * mean, None);
                for (i, prediction) in head.predict(x.view()).into_iter().enumerate() {
                    assert!((prediction - predict(&whole, i)).abs() < 1e-8, "{n} x {d}, document {i}");
                    let others: Vec<usize> = (0..twice.len()).filter(|&row| twice[row] != i).collect();
                    let labels: Vec<f64> = others.iter().map(|&row| labels[row]).collect();
                    let rows = rows.select(Axis(0), &others);
                    let left_out = predict(&by_elimination(&rows, &labels, head.penalty * mean, None), i);
                    assert!((head.leave_one_out[i] - left_out).abs() < 1e-8, "{n} x {d}, document {i}");
                }
            }
        }
    }

    #[test]
    fn the_penalty_has_the_smallest_cross_validation_error() {
        let (x, y) = example(30, 5);
        let standardised = Standardisation::of(x.view()).unwrap().apply(x.view());
        let head = &ridge(x.view(), y.view(), None).unwrap()[0];
        let labels = y.column(0).to_vec();
        // Tr H column by column: what the labels eᵢ predict of document i.
        let error = |penalty: f64| {
            let n = labels.len();
            let fitted = |labels: &[f64], i: usize| {
                let solution = by_elimination(&standardised, labels, penalty, None);
                solution[5] + standardised.row(i).iter().zip(&solution).map(|(x, w)| x * w).sum::<f64>()
            };
            let trace: f64 = (0..n)
                .map(|i| fitted(&(0..n).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>(), i))
                .sum();
            let squares: f64 = (0..n).map(|i| (labels[i] - fitted(&labels, i)).powi(2)).sum();
            n as f64 * squares / (n as f64 - trace).powi(2)
        };
        let best = penalties().min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap();
        assert_eq!(head.penalty, best);
    }

    #[test]
    fn units_of_the_labels_change_nothing_else() {
        let (x, y) = example(40, 6);
        let (once, other) = (
            ridge(x.view(), y.view(), None).unwrap(),
            ridge(x.view(), (&y * 75.0 + 200.0).view(), None).unwrap(),
        );
        for (once, other) in once.iter().zip(&other) {
            assert_eq!(once.penalty, other.penalty);
            for (a, b) in once.predict(x.view()).iter().zip(other.predict(x.view())) {
                assert!((a * 75.0 + 200.0 - b).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn constant_labels_give_a_constant_head() {
        let (x, _) = example(10, 4);
        let head = &ridge(x.view(), Array2::from_elem((10, 1), 3.5).view(), None).unwrap()[0];
        assert!(head.predict(x.view()).iter().all(|prediction| (prediction - 3.5).abs() < 1e-12));
    }

    #[test]
    fn too_few_documents_and_labels_that_are_not_finite_are_named() {
        let (x, mut y) = example(2, 4);
        assert_eq!(ridge(x.view(), y.view(), None), Err(HeadError::TooFew { n: 2, least: 3 }));
        let (x, _) = example(5, 4);
        y = Array2::zeros((5, 1));
        y[[3, 0]] = f64::NAN;
        assert_eq!(ridge(x.view(), y.view(), None), Err(HeadError::NotFinite { row: 3, what: "a label" }));
    }
}

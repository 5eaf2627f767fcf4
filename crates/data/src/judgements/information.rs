//! The information matrix of a fit, and linear systems with it.
//!
//! It has a row per document for δ (a weighted graph Laplacian plus the prior's precision on the diagonal), which is
//! sparse, and a dense border: a row per coefficient of the [`Features`], and one for ln ν. A random graph of judgements
//! has no sparse factorisation worth having, but the prior bounds its condition number: conjugate gradients with a
//! Jacobi preconditioner need a dozen products or so, and several right-hand sides share each pass over the matrix. The
//! border is eliminated with them, and what is left of it is factored. Time is that of the judgements times the columns
//! of the features, and of the documents times their square, never of the square of the documents.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use pair2score_heads::Cholesky;

use super::davidson::{Chances, mean_over};
use super::{Comparison, Features};

/// Right-hand sides solved together.
const LANES: usize = 8;

/// The negative Hessian of the log-posterior in δ, the coefficients and ln ν.
pub(super) struct Information {
    /// Where each document's neighbours begin in `columns`; one more than there are documents.
    rows: Vec<usize>,
    columns: Vec<u32>,
    /// Curvature per neighbour: the entry is its negative.
    values: Vec<f64>,
    /// Curvature of each document's utility with itself, without the prior.
    laplacian: Vec<f64>,
    /// The same with the prior's precision.
    diagonal: Vec<f64>,
    /// Curvature of each document's δ with coefficients and ln ν, `[n, k + 1]`.
    border: Array2<f64>,
    /// Curvature of coefficients and ln ν, `[k + 1, k + 1]`.
    corner: Array2<f64>,
    /// Per comparison, the places of (a, b) and (b, a) in `values`.
    slots: Vec<(usize, usize)>,
}

/// What is left after the documents are eliminated.
pub(super) struct Eliminated {
    /// The border divided by the documents' block, `[n, k + 1]`.
    pub(super) told: Array2<f64>,
    /// Factor of the Schur complement: the inverse covariance of coefficients and ln ν.
    pub(super) factor: Cholesky,
}

/// What is averaged, where: the place of an [`Information`].
pub(super) struct Place<'a> {
    pub(super) utilities: ArrayView1<'a, f64>,
    /// 0 takes ln ν out of the model.
    pub(super) nu: f64,
    /// Variances of the logits, one per comparison.
    pub(super) logit_variances: &'a [f64],
    /// Prior precisions of δ, the coefficients and ln ν.
    pub(super) untold: f64,
    pub(super) coefficients: ArrayView1<'a, f64>,
    pub(super) tie: f64,
}

impl Information {
    /// The pattern of `n` documents and their comparisons; [`update`](Self::update) fills in the values.
    pub(super) fn new(n: usize, list: &[Comparison]) -> Self {
        let mut neighbours = vec![Vec::new(); n];
        for comparison in list {
            neighbours[comparison.a].push(comparison.b as u32);
            neighbours[comparison.b].push(comparison.a as u32);
        }
        let mut rows = vec![0];
        let mut columns = Vec::new();
        for of_document in &mut neighbours {
            of_document.sort_unstable();
            of_document.dedup();
            columns.extend_from_slice(of_document);
            rows.push(columns.len());
        }
        let slot = |row: usize, column: usize| {
            let place = columns[rows[row]..rows[row + 1]].binary_search(&(column as u32));
            rows[row] + place.expect("every neighbour was entered above")
        };
        let slots = list.iter().map(|c| (slot(c.a, c.b), slot(c.b, c.a))).collect();
        Self {
            values: vec![0.0; columns.len()],
            laplacian: vec![0.0; n],
            diagonal: vec![0.0; n],
            border: Array2::zeros((n, 1)),
            corner: Array2::eye(1),
            rows,
            columns,
            slots,
        }
    }

    /// Sets the values, averaged over what is known of the logits.
    pub(super) fn update(&mut self, list: &[Comparison], features: &Features, place: &Place<'_>) {
        let Place { utilities, nu, logit_variances, .. } = *place;
        self.values.fill(0.0);
        self.laplacian.fill(0.0);
        let mut of_ties = Array1::<f64>::zeros(self.n());
        let mut tie = if nu > 0.0 { place.tie } else { 1.0 };
        for ((comparison, &variance), &(there, back)) in list.iter().zip(logit_variances).zip(&self.slots) {
            let &Comparison { a, b, weight, .. } = comparison;
            let [information, cross, of_tie] = mean_over(utilities[a] - utilities[b], variance, |logit| {
                let chances = Chances::new(logit, nu);
                [chances.variance(), chances.covariance_with_tie(), chances.tie_variance()]
            });
            let curvature = weight * information;
            self.values[there] += curvature;
            self.values[back] += curvature;
            self.laplacian[a] += curvature;
            self.laplacian[b] += curvature;
            of_ties[a] += weight * cross;
            of_ties[b] -= weight * cross;
            if nu > 0.0 {
                tie += weight * of_tie;
            }
        }
        for (diagonal, laplacian) in self.diagonal.iter_mut().zip(&self.laplacian) {
            *diagonal = place.untold + laplacian;
        }
        let (f, k) = (features.matrix(), features.matrix().ncols());
        self.border = self.times_features(f);
        self.border.column_mut(k).assign(&of_ties);
        self.corner = Array2::zeros((k + 1, k + 1));
        let products = f.t().dot(&self.border);
        self.corner.slice_mut(s![..k, ..]).assign(&products);
        let with_tie = self.corner.slice(s![..k, k]).to_owned();
        self.corner.slice_mut(s![k, ..k]).assign(&with_tie);
        for (place, precision) in place.coefficients.iter().enumerate() {
            self.corner[[place, place]] += precision;
        }
        self.corner[[k, k]] = tie;
    }

    /// The product of the comparisons' curvature with the features, and a column of zeros for ln ν.
    fn times_features(&self, f: ArrayView2<'_, f64>) -> Array2<f64> {
        let k = f.ncols();
        let mut product = Array2::zeros((self.n(), k + 1));
        for (row, sum) in product.outer_iter_mut().enumerate() {
            let mut sum = sum.slice_move(s![..k]);
            sum.scaled_add(self.laplacian[row], &f.row(row));
            let slots = self.rows[row]..self.rows[row + 1];
            for (value, &column) in self.values[slots.clone()].iter().zip(&self.columns[slots]) {
                sum.scaled_add(-value, &f.row(column as usize));
            }
        }
        product
    }

    /// The variances of δ as far as each document's neighbours explain them: the diagonal of the inverse
    /// to second order. Beyond that, other paths lead back to a document, which lower it by a few per cent.
    pub(super) fn variances(&self) -> Vec<f64> {
        (0..self.n()).map(|row| 1.0 / self.left(row)).collect()
    }

    /// The variance of the difference of the two δ of each comparison, as far as their neighbours explain it. Two
    /// documents that were compared are not independent: of a pair that nobody else links, the difference may be known
    /// and the sum not at all.
    pub(super) fn difference_variances(&self, list: &[Comparison]) -> Vec<f64> {
        let left: Vec<f64> = (0..self.n()).map(|row| self.left(row)).collect();
        let variance = |(comparison, &(there, _)): (&Comparison, &(usize, usize))| {
            let (&Comparison { a, b, .. }, between) = (comparison, self.values[there]);
            // What is left of each without the other, whose part in it is taken as a whole then.
            let of_a = left[a] + between * between / self.diagonal[b];
            let of_b = left[b] + between * between / self.diagonal[a];
            (of_a + of_b - 2.0 * between) / (of_a * of_b - between * between)
        };
        list.iter().zip(&self.slots).map(variance).collect()
    }

    /// What is left of the diagonal of a document once its neighbours are eliminated, each by itself.
    fn left(&self, row: usize) -> f64 {
        let slots = self.rows[row]..self.rows[row + 1];
        let through = |(value, &column): (&f64, &u32)| value * value / self.diagonal[column as usize];
        let known: f64 = self.values[slots.clone()].iter().zip(&self.columns[slots]).map(through).sum();
        self.diagonal[row] - known
    }

    /// Number of documents.
    fn n(&self) -> usize {
        self.diagonal.len()
    }

    /// The product of the documents' block with `L` vectors at once, row by row.
    fn apply<const L: usize>(&self, x: &[[f64; L]], y: &mut [[f64; L]]) {
        for (row, y) in y.iter_mut().enumerate() {
            let mut sum = x[row].map(|value| self.diagonal[row] * value);
            let slots = self.rows[row]..self.rows[row + 1];
            for (value, &column) in self.values[slots.clone()].iter().zip(&self.columns[slots]) {
                add(&mut sum, &[-value; L], &x[column as usize]);
            }
            *y = sum;
        }
    }

    /// Divides by the documents' block, column by column; `None` where that does not come about.
    pub(super) fn divide(&self, columns: ArrayView2<'_, f64>, tolerance: f64) -> Option<Array2<f64>> {
        let mut divided = Array2::zeros(columns.dim());
        for first in (0..columns.ncols()).step_by(LANES) {
            let group = s![.., first..columns.ncols().min(first + LANES)];
            let target = divided.slice_mut(group);
            match target.ncols() {
                1 => self.divide_group::<1>(columns.slice(group), target, tolerance)?,
                _ => self.divide_group::<LANES>(columns.slice(group), target, tolerance)?,
            }
        }
        Some(divided)
    }

    /// Divides up to `L` columns.
    fn divide_group<const L: usize>(
        &self,
        columns: ArrayView2<'_, f64>,
        mut divided: ArrayViewMut2<'_, f64>,
        tolerance: f64,
    ) -> Option<()> {
        let lanes = |row: ArrayView1<'_, f64>| std::array::from_fn(|lane| *row.get(lane).unwrap_or(&0.0));
        let rhs: Vec<[f64; L]> = columns.outer_iter().map(lanes).collect();
        for (row, solution) in divided.outer_iter_mut().zip(self.solve(&rhs, tolerance)?) {
            row.into_iter().zip(solution).for_each(|(entry, solution)| *entry = solution);
        }
        Some(())
    }

    /// Eliminates the documents; `None` where the arithmetic cannot.
    pub(super) fn eliminate(&self, tolerance: f64) -> Option<Eliminated> {
        let told = self.divide(self.border.view(), tolerance)?;
        let left = &self.corner - &self.border.t().dot(&told);
        Some(Eliminated { told, factor: Cholesky::new(left)? })
    }

    /// Solves for one right-hand side: documents, then coefficients and ln ν.
    pub(super) fn solve_all(
        &self,
        eliminated: &Eliminated,
        (documents, others): (&Array1<f64>, &Array1<f64>),
        tolerance: f64,
    ) -> Option<(Array1<f64>, Array1<f64>)> {
        let divided = self.divide(documents.view().insert_axis(Axis(1)), tolerance)?;
        let divided = divided.index_axis_move(Axis(1), 0);
        let left = others - &self.border.t().dot(&divided);
        let others = eliminated.factor.solve(left.insert_axis(Axis(1))).index_axis_move(Axis(1), 0);
        Some((divided - eliminated.told.dot(&others), others))
    }

    /// Solves the documents' block for `L` right-hand sides at once by preconditioned conjugate gradients, until each residual (in the norm
    /// of the preconditioner) is `tolerance` of the right-hand side; `None` where that does not come about.
    fn solve<const L: usize>(&self, rhs: &[[f64; L]], tolerance: f64) -> Option<Vec<[f64; L]>> {
        let n = self.n();
        let scale: Vec<f64> = self.diagonal.iter().map(|entry| 1.0 / entry).collect();
        let mut solution = vec![[0.0; L]; n];
        let mut residual = rhs.to_vec();
        let mut product = vec![[0.0; L]; n];
        let mut direction: Vec<[f64; L]> =
            residual.iter().zip(&scale).map(|(row, scale)| row.map(|value| value * scale)).collect();
        let mut size = dot(&residual, &direction);
        let goal = size.map(|size| size * tolerance * tolerance);
        // Rounding delays the end that exact arithmetic would reach after n products.
        for _ in 0..4 * n + 100 {
            if size.iter().zip(&goal).all(|(size, goal)| size <= goal) {
                return Some(solution);
            }
            self.apply(&direction, &mut product);
            let curvature = dot(&direction, &product);
            // A system that is solved stands still while the others go on.
            let step: [f64; L] =
                std::array::from_fn(|l| if size[l] > goal[l] { size[l] / curvature[l] } else { 0.0 });
            let back = step.map(|step| -step);
            for (row, (direction, product)) in direction.iter().zip(&product).enumerate() {
                add(&mut solution[row], &step, direction);
                add(&mut residual[row], &back, product);
            }
            let mut next = [0.0; L];
            for (row, &scale) in residual.iter().zip(&scale) {
                add(&mut next, &row.map(|value| value * scale), row);
            }
            let turn: [f64; L] =
                std::array::from_fn(|l| if size[l] > goal[l] { next[l] / size[l] } else { 0.0 });
            for ((direction, residual), &scale) in direction.iter_mut().zip(&residual).zip(&scale) {
                let mut turned = residual.map(|value| value * scale);
                add(&mut turned, &turn, direction);
                *direction = turned;
            }
            size = next;
        }
        None
    }
}

/// Adds factor · x to a sum, lane by lane.
fn add<const L: usize>(sum: &mut [f64; L], factor: &[f64; L], x: &[f64; L]) {
    for ((sum, factor), x) in sum.iter_mut().zip(factor).zip(x) {
        *sum += factor * x;
    }
}

/// The inner products of `L` pairs of vectors.
fn dot<const L: usize>(x: &[[f64; L]], y: &[[f64; L]]) -> [f64; L] {
    let mut sums = [0.0; L];
    x.iter().zip(y).for_each(|(x, y)| add(&mut sums, x, y));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    #[test]
    fn solutions_satisfy_their_systems() {
        let mut rng = rng::stream(1, &["information"]);
        let n = 40;
        let list: Vec<Comparison> = (0..200)
            .map(|_| {
                let a = rng::below(&mut rng, n);
                let b = (a + 1 + rng::below(&mut rng, n - 1)) % n;
                Comparison::new(a, b, [0.0, 0.5, 1.0][rng::below(&mut rng, 3)])
            })
            .collect();
        let utilities: Array1<f64> = (0..n).map(|_| 4.0 * rng::unit(&mut rng) - 2.0).collect();
        let rows = Array2::from_shape_fn((n, 3), |_| rng::unit(&mut rng) as f32);
        for features in [Features::none(n), Features::new(None, Some(rows.view())).unwrap()] {
            let (_, precisions) = features.prior(1.0);
            let mut information = Information::new(n, &list);
            let place = Place {
                utilities: utilities.view(),
                nu: 0.7,
                logit_variances: &[0.0; 200],
                untold: 0.1,
                coefficients: precisions.view(),
                tie: 0.1,
            };
            information.update(&list, &features, &place);
            let documents: Array1<f64> = (0..n).map(|_| rng::unit(&mut rng)).collect();
            let others: Array1<f64> = (0..=precisions.len()).map(|_| rng::unit(&mut rng)).collect();
            let eliminated = information.eliminate(1e-12).unwrap();
            let (x, y) = information.solve_all(&eliminated, (&documents, &others), 1e-12).unwrap();
            let column: Vec<[f64; 1]> = x.iter().map(|&x| [x]).collect();
            let mut product = vec![[0.0]; n];
            information.apply(&column, &mut product);
            let product: Array1<f64> = product.into_iter().map(|[entry]| entry).collect();
            let upper = product + information.border.dot(&y) - documents;
            let lower = information.border.t().dot(&x) + information.corner.dot(&y) - others;
            assert!(upper.iter().chain(&lower).all(|error| error.abs() < 1e-9), "{upper} {lower}");
        }
    }
}

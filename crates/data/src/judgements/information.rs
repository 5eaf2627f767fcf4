//! The information matrix of a fit, sparse, and linear systems with it.
//!
//! It has a row per document (a weighted graph Laplacian plus the prior's precision on the diagonal) and one for ln ν.
//! A random graph of judgements has no sparse factorisation worth having, but the prior bounds its condition number:
//! conjugate gradients with a Jacobi preconditioner need a dozen products or so, and several right-hand sides share
//! each pass over the matrix. That is a hundred lines without a linear-algebra crate, and as fast in a browser.

use super::Comparison;
use super::davidson::{Chances, mean_over};

/// The negative Hessian of the log-posterior in the utilities and ln ν.
pub(super) struct Information {
    /// Where each document's neighbours begin in `columns`; one more than there are documents.
    rows: Vec<usize>,
    columns: Vec<u32>,
    /// Curvature per neighbour: the entry is its negative.
    values: Vec<f64>,
    /// Curvature of each document's utility with itself.
    diagonal: Vec<f64>,
    /// Curvature of each document's utility with ln ν.
    border: Vec<f64>,
    /// Curvature of ln ν with itself.
    corner: f64,
    /// Per comparison, the places of (a, b) and (b, a) in `values`.
    slots: Vec<(usize, usize)>,
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
        let values = vec![0.0; columns.len()];
        Self { rows, columns, values, diagonal: vec![0.0; n], border: vec![0.0; n], corner: 1.0, slots }
    }

    /// Sets the values at some utilities, averaged over logits with these variances, one per comparison; `nu` of 0
    /// takes ln ν out of the model.
    pub(super) fn update(
        &mut self,
        list: &[Comparison],
        logit_variances: &[f64],
        utilities: &[f64],
        nu: f64,
        precision: f64,
        tie_precision: f64,
    ) {
        self.values.fill(0.0);
        self.diagonal.fill(precision);
        self.border.fill(0.0);
        self.corner = if nu > 0.0 { tie_precision } else { 1.0 };
        for ((comparison, &variance), &(there, back)) in list.iter().zip(logit_variances).zip(&self.slots) {
            let &Comparison { a, b, weight, .. } = comparison;
            let [information, cross, of_tie] = mean_over(utilities[a] - utilities[b], variance, |logit| {
                let chances = Chances::new(logit, nu);
                [chances.variance(), chances.covariance_with_tie(), chances.tie_variance()]
            });
            let curvature = weight * information;
            self.values[there] += curvature;
            self.values[back] += curvature;
            self.diagonal[a] += curvature;
            self.diagonal[b] += curvature;
            self.border[a] += weight * cross;
            self.border[b] -= weight * cross;
            if nu > 0.0 {
                self.corner += weight * of_tie;
            }
        }
    }

    /// The variances of the utilities as far as each document's neighbours explain them: the diagonal of the inverse
    /// to second order. Beyond that, other paths lead back to a document, which lower it by a few per cent.
    pub(super) fn variances(&self) -> Vec<f64> {
        let variance = |row: usize| {
            let slots = self.rows[row]..self.rows[row + 1];
            let through = |(value, &column): (&f64, &u32)| value * value / self.diagonal[column as usize];
            let known: f64 = self.values[slots.clone()].iter().zip(&self.columns[slots]).map(through).sum();
            1.0 / (self.diagonal[row] - known)
        };
        (0..self.n()).map(variance).collect()
    }

    /// Number of documents.
    fn n(&self) -> usize {
        self.diagonal.len()
    }

    /// The product with `L` vectors at once; row by row, documents first, then ln ν.
    fn apply<const L: usize>(&self, x: &[[f64; L]], y: &mut [[f64; L]]) {
        let (of_documents, of_tie) = y.split_at_mut(self.n());
        let x_tie = x[self.n()];
        let mut y_tie = x_tie.map(|value| self.corner * value);
        for (row, y) in of_documents.iter_mut().enumerate() {
            let mut sum = x[row].map(|value| self.diagonal[row] * value);
            add(&mut sum, &[self.border[row]; L], &x_tie);
            add(&mut y_tie, &[self.border[row]; L], &x[row]);
            let slots = self.rows[row]..self.rows[row + 1];
            for (value, &column) in self.values[slots.clone()].iter().zip(&self.columns[slots]) {
                add(&mut sum, &[-value; L], &x[column as usize]);
            }
            *y = sum;
        }
        of_tie[0] = y_tie;
    }

    /// Solves for `L` right-hand sides at once by preconditioned conjugate gradients, until each residual (in the norm
    /// of the preconditioner) is `tolerance` of the right-hand side; `None` where that does not come about.
    pub(super) fn solve<const L: usize>(&self, rhs: &[[f64; L]], tolerance: f64) -> Option<Vec<[f64; L]>> {
        let n = self.n();
        let scale: Vec<f64> = self.diagonal.iter().chain([&self.corner]).map(|entry| 1.0 / entry).collect();
        let mut solution = vec![[0.0; L]; n + 1];
        let mut residual = rhs.to_vec();
        let mut product = vec![[0.0; L]; n + 1];
        let mut direction: Vec<[f64; L]> =
            residual.iter().zip(&scale).map(|(row, scale)| row.map(|value| value * scale)).collect();
        let mut size = dot(&residual, &direction);
        let goal = size.map(|size| size * tolerance * tolerance);
        // Rounding delays the end that exact arithmetic would reach after n + 1 products.
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
        let utilities: Vec<f64> = (0..n).map(|_| 4.0 * rng::unit(&mut rng) - 2.0).collect();
        let mut information = Information::new(n, &list);
        information.update(&list, &[0.0; 200], &utilities, 0.7, 0.1, 0.1);
        let rhs: Vec<[f64; 3]> = (0..=n).map(|_| std::array::from_fn(|_| rng::unit(&mut rng))).collect();
        let solution = information.solve(&rhs, 1e-12).unwrap();
        let mut product = vec![[0.0; 3]; n + 1];
        information.apply(&solution, &mut product);
        for (actual, expected) in product.iter().flatten().zip(rhs.iter().flatten()) {
            assert!((actual - expected).abs() < 1e-9);
        }
    }
}

//! Cholesky factors of symmetric positive definite matrices, in blocks, so that nearly all work is matrix products.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul, s};

/// Rows of a block: large enough that products dominate, small enough for the cache.
const BLOCK: usize = 64;

/// Lower factor `L` of `A = L · Lᵀ`.
#[derive(Debug, Clone)]
pub struct Cholesky(Array2<f64>);

impl Cholesky {
    /// The factor of a symmetric matrix, of which only the lower triangle is read; `None` where it is not positive
    /// definite in double precision.
    pub fn new(mut a: Array2<f64>) -> Option<Self> {
        let n = a.nrows();
        for first in (0..n).step_by(BLOCK) {
            let end = (first + BLOCK).min(n);
            factor_block(a.slice_mut(s![first..end, first..end]))?;
            let (head, mut below) = a.view_mut().split_at(Axis(0), end);
            let diagonal = head.slice(s![first.., first..end]);
            let mut panel = below.slice_mut(s![.., first..end]);
            solve_block(diagonal, panel.view_mut().reversed_axes());
            // What is left, by columns of blocks, so that the upper triangle is not computed.
            let panel = panel.to_owned();
            for column in (end..n).step_by(BLOCK) {
                let rows = column - end..;
                let width = BLOCK.min(n - column);
                let left = panel.slice(s![rows.clone(), ..]);
                let right = panel.slice(s![rows.start..rows.start + width, ..]);
                let mut target = below.slice_mut(s![rows, column..column + width]);
                general_mat_mul(-1.0, &left, &right.t(), 1.0, &mut target);
            }
        }
        for (row, mut values) in a.outer_iter_mut().enumerate() {
            values.slice_mut(s![row + 1..]).fill(0.0);
        }
        Some(Self(a))
    }

    /// `L⁻¹ · B`, in place.
    pub fn solve_lower(&self, mut b: ArrayViewMut2<'_, f64>) {
        let n = self.0.nrows();
        for first in (0..n).step_by(BLOCK) {
            let end = (first + BLOCK).min(n);
            let (mut head, mut below) = b.view_mut().split_at(Axis(0), end);
            let mut rows = head.slice_mut(s![first.., ..]);
            solve_block(self.0.slice(s![first..end, first..end]), rows.view_mut());
            general_mat_mul(-1.0, &self.0.slice(s![end.., first..end]), &rows, 1.0, &mut below);
        }
    }

    /// `L⁻ᵀ · B`, in place.
    pub fn solve_upper(&self, mut b: ArrayViewMut2<'_, f64>) {
        let n = self.0.nrows();
        for first in (0..n).step_by(BLOCK).rev() {
            let end = (first + BLOCK).min(n);
            let (mut head, below) = b.view_mut().split_at(Axis(0), end);
            let mut rows = head.slice_mut(s![first.., ..]);
            general_mat_mul(-1.0, &self.0.slice(s![end.., first..end]).t(), &below, 1.0, &mut rows);
            solve_block_transposed(self.0.slice(s![first..end, first..end]), rows);
        }
    }

    /// `A⁻¹ · B`.
    pub fn solve(&self, mut b: Array2<f64>) -> Array2<f64> {
        self.solve_lower(b.view_mut());
        self.solve_upper(b.view_mut());
        b
    }

    /// `ln det A`.
    pub fn log_determinant(&self) -> f64 {
        2.0 * self.0.diag().iter().map(|value| value.ln()).sum::<f64>()
    }

    /// `L⁻¹`, whose columns are zero above the diagonal. Squares of its elements add up to the trace of `A⁻¹`, and
    /// those of column `i` to its element `(i, i)`.
    pub fn inverse_lower(&self) -> Array2<f64> {
        let n = self.0.nrows();
        let mut inverse = Array2::eye(n);
        for first in (0..n).step_by(BLOCK) {
            let end = (first + BLOCK).min(n);
            // Rows up to here have columns up to here only.
            let (mut head, mut below) = inverse.view_mut().split_at(Axis(0), end);
            let mut rows = head.slice_mut(s![first.., ..end]);
            solve_block(self.0.slice(s![first..end, first..end]), rows.view_mut());
            let mut below = below.slice_mut(s![.., ..end]);
            general_mat_mul(-1.0, &self.0.slice(s![end.., first..end]), &rows, 1.0, &mut below);
        }
        inverse
    }
}

/// Factors a small matrix in place; its upper triangle is left as it is.
fn factor_block(mut a: ArrayViewMut2<'_, f64>) -> Option<()> {
    for column in 0..a.ncols() {
        for row in column..a.nrows() {
            let (left, right) = (a.slice(s![row, ..column]), a.slice(s![column, ..column]));
            let value = a[[row, column]] - left.dot(&right);
            a[[row, column]] = match row == column {
                // A NaN is not above 0 either.
                true if value > 0.0 && value.is_finite() => value.sqrt(),
                true => return None,
                false => value / a[[column, column]],
            };
        }
    }
    Some(())
}

/// `L⁻¹ · B` in place, for a small `L` of which only the lower triangle is read. Goes along the rows or the columns of
/// `B`, whichever lie together in memory: across them it takes several times as long.
fn solve_block(l: ArrayView2<'_, f64>, mut b: ArrayViewMut2<'_, f64>) {
    if b.strides()[0] == 1 {
        let l = l.as_standard_layout();
        for column in b.columns_mut() {
            let column = column.into_slice().expect("the elements of a column lie together");
            for (row, l) in l.outer_iter().enumerate() {
                let (known, value) = column.split_at_mut(row);
                value[0] = (value[0] - l.slice(s![..row]).dot(&ArrayView1::from(&*known))) / l[row];
            }
        }
        return;
    }
    for row in 0..l.nrows() {
        let (above, mut below) = b.view_mut().split_at(Axis(0), row);
        let mut values = below.row_mut(0);
        for (column, above) in above.outer_iter().enumerate() {
            values.scaled_add(-l[[row, column]], &above);
        }
        values /= l[[row, row]];
    }
}

/// `L⁻ᵀ · B` in place, for a small `L` of which only the lower triangle is read; along rows or columns as [`solve_block`].
fn solve_block_transposed(l: ArrayView2<'_, f64>, mut b: ArrayViewMut2<'_, f64>) {
    if b.strides()[0] == 1 {
        let upper = l.reversed_axes();
        let upper = upper.as_standard_layout();
        for column in b.columns_mut() {
            let column = column.into_slice().expect("the elements of a column lie together");
            for (row, u) in upper.outer_iter().enumerate().rev() {
                let (value, known) = column[row..].split_at_mut(1);
                value[0] = (value[0] - u.slice(s![row + 1..]).dot(&ArrayView1::from(&*known))) / u[row];
            }
        }
        return;
    }
    for row in (0..l.nrows()).rev() {
        let (mut above, below) = b.view_mut().split_at(Axis(0), row + 1);
        let mut values = above.row_mut(row);
        for (offset, below) in below.outer_iter().enumerate() {
            values.scaled_add(-l[[row + 1 + offset, row]], &below);
        }
        values /= l[[row, row]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix without structure, larger than a block.
    fn example(n: usize) -> Array2<f64> {
        let x = Array2::from_shape_fn((n + 3, n), |(i, j)| ((i * 37 + j * 101 + i * j) as f64).sin());
        x.t().dot(&x) + Array2::<f64>::eye(n) * 0.1
    }

    fn largest(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |largest, value| value.abs().max(largest))
    }

    #[test]
    fn the_factor_times_itself_is_the_matrix() {
        for n in [1, 5, 64, 65, 150] {
            let a = example(n);
            let l = Cholesky::new(a.clone()).unwrap().0;
            assert!(largest(&(l.dot(&l.t()) - &a)) < 1e-11, "{n}");
        }
    }

    #[test]
    fn solutions_solve_the_system() {
        let a = example(150);
        let b = Array2::from_shape_fn((150, 3), |(i, j)| (i + 2 * j) as f64 / 7.0);
        let x = Cholesky::new(a.clone()).unwrap().solve(b.clone());
        assert!(largest(&(a.dot(&x) - b)) < 1e-9);
    }

    #[test]
    fn solutions_do_not_depend_on_how_a_matrix_lies_in_memory() {
        let factor = Cholesky::new(example(150)).unwrap();
        let by_rows = Array2::from_shape_fn((150, 3), |(i, j)| (i + 2 * j) as f64 / 7.0);
        let by_columns = by_rows.t().as_standard_layout().into_owned().reversed_axes();
        assert_eq!(by_columns.strides()[0], 1);
        let (one, other) = (factor.solve(by_rows), factor.solve(by_columns));
        assert!(largest(&(one - other)) < 1e-9);
    }

    #[test]
    fn determinants_by_hand() {
        let factor = Cholesky::new(ndarray::array![[4.0, 2.0], [2.0, 3.0]]).unwrap();
        assert!((factor.log_determinant() - 8.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn the_inverse_of_the_factor_gives_the_inverse() {
        let a = example(150);
        let inverse = Cholesky::new(a.clone()).unwrap().inverse_lower();
        assert!(largest(&(inverse.t().dot(&inverse).dot(&a) - Array2::<f64>::eye(150))) < 1e-9);
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(ndarray::array![[1.0, 0.0], [2.0, 1.0]]).is_none());
        assert!(Cholesky::new(ndarray::array![[f64::NAN]]).is_none());
    }
}

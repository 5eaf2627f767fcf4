//! The directions in which rows differ most, by orthogonal iteration.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// Iterations; each shrinks what is left of smaller directions by the square of their share.
const ROUNDS: usize = 4;

/// What is left of a direction after those before it are taken away counts as rounding below this share.
const ROUNDING: f64 = 1e-9;

/// An orthonormal basis of the directions in which the rows of `x` are largest, at most `most` of them, as rows.
///
/// It spans all rows exactly where `most` is not below their rank. Otherwise it is the leading subspace as nearly as
/// a few iterations find it, which is enough where the rest is told apart by nothing that matters. The basis is
/// not that of principal components: only the space it spans is determined.
///
/// # Shapes
/// - x: `[n, d]`
/// - output: `[at most min(most, n, d), d]`
pub fn leading_directions(x: ArrayView2<'_, f64>, most: usize) -> Array2<f64> {
    let (n, d) = x.dim();
    if d <= most {
        return Array2::eye(d);
    }
    let most = most.min(n);
    // Cosines over the rows, lowest frequencies first, are independent combinations of all rows.
    let start = Array2::from_shape_fn((most, n), |(frequency, row)| {
        (std::f64::consts::PI * frequency as f64 * (row as f64 + 0.5) / n as f64).cos()
    });
    let mut basis = orthonormal(start.dot(&x));
    // Where there are more rows than columns, their products are the smaller matrix.
    let products = (n > d).then(|| x.t().dot(&x));
    for _ in 0..ROUNDS {
        basis = orthonormal(match &products {
            Some(products) => basis.dot(products),
            None => basis.dot(&x.t()).dot(&x),
        });
    }
    basis
}

/// Rows made orthonormal one after the other (Gram and Schmidt, twice each), without those that depend on others.
fn orthonormal(rows: Array2<f64>) -> Array2<f64> {
    let d = rows.ncols();
    let mut basis = Array2::zeros(rows.dim());
    let mut found = 0;
    let norm = |row: ArrayView1<'_, f64>| row.dot(&row).sqrt();
    for mut row in rows.outer_iter().map(|row| row.to_owned()) {
        let before = norm(row.view());
        for _ in 0..2 {
            let known: ArrayView2<'_, f64> = basis.slice(ndarray::s![..found, ..]);
            row = &row - &known.t().dot(&known.dot(&row));
        }
        let left = norm(row.view());
        if left > ROUNDING * before && left.is_normal() {
            basis.row_mut(found).assign(&(row / left));
            found += 1;
        }
    }
    basis.slice_move(ndarray::s![..found, ..d])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in a space of `rank` dimensions whose sizes fall by a half each.
    fn example(n: usize, d: usize, rank: usize) -> Array2<f64> {
        let of = |i: usize, j: usize, by: usize| ((i * 37 + j * 101 + i * j * by) as f64).sin();
        let left = Array2::from_shape_fn((n, rank), |(i, j)| of(i, j, 3) * 0.5_f64.powi(j as i32));
        left.dot(&Array2::from_shape_fn((rank, d), |(i, j)| of(i, j, 7)))
    }

    fn largest(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |largest, value| value.abs().max(largest))
    }

    #[test]
    fn the_basis_is_orthonormal_and_spans_rows_of_low_rank() {
        for (n, d) in [(40, 12), (9, 30), (5, 5)] {
            let x = example(n, d, 4);
            let basis = leading_directions(x.view(), 11.min(d - 1));
            assert!(basis.nrows() <= 5, "rows of rank 4 have {} directions", basis.nrows());
            assert!(largest(&(basis.dot(&basis.t()) - Array2::<f64>::eye(basis.nrows()))) < 1e-12);
            assert!(largest(&(x.dot(&basis.t()).dot(&basis) - &x)) < 1e-8);
        }
    }

    #[test]
    fn what_is_left_out_is_smallest() {
        // With 6 sizes that halve, three directions leave about what the fourth to sixth have.
        let x = example(50, 20, 6);
        let basis = leading_directions(x.view(), 3);
        let rest = &x - &x.dot(&basis.t()).dot(&basis);
        let share = rest.iter().map(|r| r * r).sum::<f64>() / x.iter().map(|x| x * x).sum::<f64>();
        assert!(basis.nrows() == 3 && share < 0.03, "{share}");
    }

    #[test]
    fn few_columns_are_their_own_directions() {
        assert_eq!(leading_directions(example(9, 3, 2).view(), 3), Array2::<f64>::eye(3));
    }
}

//! Correlation of two series.

/// Pearson's correlation of series of one length, −1 to 1; `None` where a side is constant, empty, or so near the ends
/// of the range of f64 that its squares are not in it.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    // Asked exactly: rounding in the mean gives a constant side a tiny, meaningless variance.
    if constant(a) || constant(b) {
        return None;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let scale = (square_a * square_b).sqrt();
    (scale > 0.0 && scale.is_finite()).then(|| (product / scale).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_by_hand() {
        // Deviations −1, 0, 1 and −3, −2, 5: 8 / √(2 · 38).
        let r = pearson(&[1.0, 2.0, 3.0], &[1.0, 2.0, 9.0]).unwrap();
        assert!((r - 8.0 / 76.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(pearson(&[1.0, 2.0], &[5.0, 4.0]), Some(-1.0));
    }

    #[test]
    fn constants_and_extremes_are_undefined() {
        assert_eq!(pearson(&[0.1; 3], &[1.0, 2.0, 3.0]), None);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[0.1; 3]), None);
        assert_eq!(pearson(&[], &[]), None);
        assert_eq!(pearson(&[1e200, -1e200], &[1e200, 0.0]), None);
    }
}

//! Buckets of label distance, shared by the generator and the statistics.

/// The number of buckets.
pub const N_GAPS: usize = 4;

/// Their names, from near to far; score units.
pub const GAP_NAMES: [&str; N_GAPS] = ["<1", "1-2", "2-3", ">=3"];

/// Labels of a scale by 0.1 differ by 0.9999999999999998 where they mean 1.
const TOLERANCE: f64 = 1e-6;

/// The bucket of a distance (score units, not negative): 0 below 1, 1 below 2, 2 below 3, else 3.
pub fn gap_bucket(gap: f64) -> usize {
    [1.0, 2.0, 3.0].into_iter().filter(|&bound| at_least(gap, bound)).count()
}

/// Whether `gap` reaches `bound`, rounding errors aside.
pub(super) fn at_least(gap: f64, bound: f64) -> bool {
    gap >= bound - TOLERANCE
}

/// Whether two labels this far apart are the same grade, rounding errors aside.
pub(super) fn is_tie(gap: f64) -> bool {
    gap <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_bucket_above() {
        assert_eq!([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0].map(gap_bucket), [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn rounding_errors_do_not_move_a_gap() {
        let gap = 2.3 - 1.3;
        assert!(gap < 1.0, "the premise: {gap}");
        assert_eq!(gap_bucket(gap), 1);
    }
}

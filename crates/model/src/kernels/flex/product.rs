//! Matrix products on strided views, by the kernels that burn's own product uses; pages have others (`single`).
//!
//! burn's product clears its output, and copies it once where the allocator's alignment is not to its taste, both on
//! one thread: a fifth of the time of a step at width 576.

use super::matrix::{Matrix, Target};

/// `target = left · right` (or `+=`) on this thread.
pub(super) fn product(left: Matrix<'_>, right: Matrix<'_>, target: &mut Target<'_>) {
    assert_eq!((left.rows, right.columns), (target.rows, target.columns));
    assert!((target.rows - 1) * target.stride + target.columns <= target.values.len());
    let pointer = target.values.as_mut_ptr();
    // SAFETY: the target is a unique borrow that reaches as far as the call writes (asserted above), and initialised
    // where the call adds to it.
    #[expect(unsafe_code, reason = "gemm takes raw pointers")]
    unsafe {
        gemm(left, right, pointer, target.stride, target.add, gemm::Parallelism::None);
    }
}

/// `left · right` as `[left.rows, right.columns]`, on all threads where there are threads.
pub(super) fn large_product(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
    #[cfg(feature = "rayon")]
    let threads = gemm::Parallelism::Rayon(0);
    #[cfg(not(feature = "rayon"))]
    let threads = gemm::Parallelism::None;
    let n = left.rows * right.columns;
    let mut values = Vec::with_capacity(n);
    // SAFETY: the buffer has room for the product, nothing else refers to it, and the call writes every element of it
    // and reads none before they are counted in.
    #[expect(unsafe_code, reason = "gemm takes raw pointers, and clearing a buffer it fills costs time")]
    unsafe {
        gemm(left, right, values.as_mut_ptr(), right.columns, false, threads);
        values.set_len(n);
    }
    values
}

/// `target = left · right` (or `+=`), rows `stride` apart.
///
/// # Safety
/// `target` must be valid for writes of `left.rows` rows of `right.columns` elements, and for reads where `add`, and
/// must not overlap the operands.
#[expect(unsafe_code, reason = "gemm takes raw pointers; the assertions establish what it asks for")]
unsafe fn gemm(
    left: Matrix<'_>,
    right: Matrix<'_>,
    target: *mut f32,
    stride: usize,
    add: bool,
    threads: gemm::Parallelism,
) {
    assert_eq!(left.columns, right.rows);
    assert!(left.rows > 0 && right.columns > 0 && left.columns > 0);
    assert!(left.reach() <= left.values.len() && right.reach() <= right.values.len());
    // SAFETY: each operand's furthest element lies inside its slice (asserted above), the strides are positive, and
    // the caller vouches for the target.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            target,
            1,
            stride as isize,
            add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            f32::from(u8::from(add)),
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

//! Small matrix products on strided views, on one thread.

/// A strided view of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    columns: usize,
    pub(super) row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    pub(super) fn rows(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The first `rows` rows.
    pub(super) fn top(self, rows: usize) -> Self {
        self.slice(0, rows)
    }

    pub(super) fn slice(self, first: usize, rows: usize) -> Self {
        Self { values: &self.values[first * self.row_stride..], rows, ..self }
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.row_stride + column * self.column_stride]
    }

    /// Elements a view must have behind it.
    fn reach(&self) -> usize {
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// Where a product goes.
pub(super) struct Target<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) stride: usize,
    /// Whether the product is added to what is there.
    pub(super) add: bool,
}

/// `target = left · right` (or `+=`) on this thread, by the kernels that burn's own matrix product uses.
#[expect(unsafe_code, reason = "gemm takes raw pointers; the assertions establish what it asks for")]
pub(super) fn product(left: Matrix<'_>, right: Matrix<'_>, target: &mut Target<'_>) {
    assert_eq!((left.rows, left.columns, right.columns), (target.rows, right.rows, target.columns));
    assert!(target.rows > 0 && target.columns > 0 && left.columns > 0);
    assert!(left.reach() <= left.values.len() && right.reach() <= right.values.len());
    assert!((target.rows - 1) * target.stride + target.columns <= target.values.len());
    // SAFETY: each operand's furthest element lies inside its slice (asserted above), the strides are positive,
    // and the target is a unique borrow, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            target.rows,
            target.columns,
            left.columns,
            target.values.as_mut_ptr(),
            1,
            target.stride as isize,
            target.add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            f32::from(u8::from(target.add)),
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

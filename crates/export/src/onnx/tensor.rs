//! Tensors of the evaluator: values row by row, and what moves them without computing.

use half::f16;
use onnx_protobuf::tensor_proto::DataType;

/// The values of a tensor, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// Does the same to values of every type, and the result has values of this type.
macro_rules! same_type {
    ($values:expr, $v:ident => $result:expr) => {
        match $values {
            Values::F32($v) => Values::F32($result),
            Values::F16($v) => Values::F16($result),
            Values::I32($v) => Values::I32($result),
            Values::I64($v) => Values::I64($result),
            Values::Bool($v) => Values::Bool($result),
        }
    };
}

/// A tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

impl Tensor {
    /// A tensor whose number of values is that of its shape.
    pub(super) fn new(shape: Vec<usize>, values: Values) -> Result<Self, String> {
        if size(&shape) == values.len() {
            Ok(Self { shape, values })
        } else {
            Err(format!("{} values for the shape {shape:?}", values.len()))
        }
    }

    /// The tensor of these little-endian bytes.
    pub(super) fn from_bytes(dtype: DataType, shape: Vec<usize>, bytes: &[u8]) -> Result<Self, String> {
        let values = match dtype {
            DataType::FLOAT => Values::F32(elements(bytes, f32::from_le_bytes)?),
            DataType::FLOAT16 => Values::F16(elements(bytes, f16::from_le_bytes)?),
            DataType::INT64 => Values::I64(elements(bytes, i64::from_le_bytes)?),
            other => return Err(format!("an initializer of the type {other:?}")),
        };
        Self::new(shape, values)
    }

    /// The same values in a shape that may repeat them: NumPy's rule of broadcasting.
    pub(super) fn expand(&self, shape: &[usize]) -> Result<Self, String> {
        if self.shape == shape {
            return Ok(self.clone());
        }
        let missing = shape.len().checked_sub(self.shape.len());
        let missing = missing.ok_or_else(|| format!("{:?} does not expand to {shape:?}", self.shape))?;
        let mut strides = vec![0; missing];
        for ((&from, &to), stride) in self.shape.iter().zip(&shape[missing..]).zip(strides_of(&self.shape)) {
            match from {
                _ if from == to => strides.push(stride),
                1 => strides.push(0),
                _ => return Err(format!("{:?} does not expand to {shape:?}", self.shape)),
            }
        }
        let values = same_type!(&self.values, v => strided(v, shape, &strides));
        Ok(Self { shape: shape.to_vec(), values })
    }

    /// Axes in another order.
    pub(super) fn transpose(&self, order: &[usize]) -> Result<Self, String> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.shape.len()) {
            return Err(format!("{order:?} is no order of the axes of {:?}", self.shape));
        }
        let strides = strides_of(&self.shape);
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let values = same_type!(&self.values, v => strided(v, &shape, &strides));
        Ok(Self { shape, values })
    }

    /// A part of an axis: `length` places from `start`.
    pub(super) fn slice(&self, axis: usize, start: usize, length: usize) -> Result<Self, String> {
        let width = self.shape[axis];
        if start + length > width {
            return Err(format!("places {start} to {} of an axis of {width}", start + length));
        }
        let inner = size(&self.shape[axis + 1..]);
        let mut shape = self.shape.clone();
        shape[axis] = length;
        let values = same_type!(&self.values, v => {
            let rows = v.chunks_exact((width * inner).max(1));
            rows.flat_map(|row| &row[start * inner..(start + length) * inner]).copied().collect()
        });
        Self::new(shape, values)
    }

    /// The rows of the first axis at these places; they have the shape `places_shape`.
    pub(super) fn rows(&self, places: &[usize], places_shape: &[usize]) -> Result<Self, String> {
        let (&n, rest) = self.shape.split_first().ok_or("rows of a single number")?;
        if let Some(place) = places.iter().find(|&&place| place >= n) {
            return Err(format!("row {place} of {n}"));
        }
        let inner = size(rest);
        let values = same_type!(&self.values, v => {
            places.iter().flat_map(|&place| &v[place * inner..(place + 1) * inner]).copied().collect()
        });
        Self::new([places_shape, rest].concat(), values)
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }
}

/// Number of values of a shape.
pub(super) fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The shape that both operands expand to.
pub(super) fn common_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let from_end = |shape: &[usize], place: usize| shape.len().checked_sub(place).map_or(1, |i| shape[i]);
    let axis = |place| match (from_end(a, place), from_end(b, place)) {
        (a, b) if a == b => Ok(a),
        (1, other) | (other, 1) => Ok(other),
        _ => Err(format!("the shapes {a:?} and {b:?} do not go together")),
    };
    (1..=rank).rev().map(axis).collect()
}

fn elements<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() {
        Ok(chunks.iter().map(|chunk| value(*chunk)).collect())
    } else {
        Err(format!("{} bytes of values with {N} each", bytes.len()))
    }
}

/// How many values a step along each axis passes.
fn strides_of(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len()).map(|axis| size(&shape[axis..])).collect()
}

/// The values at all places of `shape` in order, where a step along an axis moves by the axis's stride.
fn strided<T: Copy>(values: &[T], shape: &[usize], strides: &[usize]) -> Vec<T> {
    fn walk<T: Copy>(values: &[T], start: usize, shape: &[usize], strides: &[usize], output: &mut Vec<T>) {
        match (shape, strides) {
            ([n, ..], _) if *n == 0 => (),
            ([n], [1]) => output.extend_from_slice(&values[start..start + n]),
            ([n], [0]) => output.extend(std::iter::repeat_n(values[start], *n)),
            ([n, shape @ ..], [stride, strides @ ..]) => {
                for place in 0..*n {
                    walk(values, start + place * stride, shape, strides, output);
                }
            }
            _ => output.push(values[start]),
        }
    }
    let mut output = Vec::with_capacity(size(shape));
    if size(shape) > 0 {
        walk(values, 0, shape, strides, &mut output);
    }
    output
}

//! The operators that the exporter writes, by ONNX's definitions of opset 18.
//!
//! Only what is written is understood: another operator, attribute or type is an error. Whether an operator does what
//! others take it for is tested with inputs and outputs recorded from onnxruntime.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as DeviceTensor, TensorData};
use half::f16;
use onnx_protobuf::NodeProto;
use onnx_protobuf::tensor_proto::DataType;
use protobuf::Enum;

use super::tensor::{Tensor, Values, common_shape, size};

type Outcome = Result<Tensor, String>;

/// The outputs of a node. Matrix products are computed on the device.
pub(super) fn apply<B: Backend>(
    node: &NodeProto,
    inputs: &[&Tensor],
    device: &B::Device,
) -> Result<Vec<Tensor>, String> {
    let call = Call { node, inputs };
    call.check_attributes()?;
    let output = match node.op_type.as_str() {
        "Split" => return split(&call),
        "Identity" => call.input(0).cloned(),
        "Cast" => cast(&call),
        "Add" => arithmetic(&call, |a, b| a + b, i32::wrapping_add),
        "Sub" => arithmetic(&call, |a, b| a - b, i32::wrapping_sub),
        "Mul" => arithmetic(&call, |a, b| a * b, i32::wrapping_mul),
        "Div" => floats2(&call, |a, b| a / b),
        "Equal" => compare(&call, |a, b| a == b),
        "LessOrEqual" => compare(&call, |a, b| a <= b),
        "And" => and(&call),
        "Where" => choose(&call),
        "Sqrt" => floats1(&call, f32::sqrt),
        "Sigmoid" => floats1(&call, |x| 1.0 / (1.0 + (-x).exp())),
        "Relu" => floats1(&call, |x| x.max(0.0)),
        "Softmax" => softmax(&call),
        "ReduceSum" => reduce(&call, |sum, _| sum),
        "ReduceMean" => reduce(&call, |sum, n| sum / n as f32),
        "CumSum" => running_sum(&call),
        "MatMul" => product::<B>(&call, device),
        "Gather" => gather(&call),
        "Reshape" => reshape(&call),
        "Unsqueeze" => unsqueeze(&call),
        "Squeeze" => squeeze(&call),
        "Transpose" => transpose(&call),
        "Concat" => concat(&call),
        other => Err(format!("the operator {other} is not one that is written")),
    };
    Ok(vec![output?])
}

/// A node with the tensors it gets.
struct Call<'a> {
    node: &'a NodeProto,
    inputs: &'a [&'a Tensor],
}

impl<'a> Call<'a> {
    /// Attributes that no code here reads would be ignored.
    fn check_attributes(&self) -> Result<(), String> {
        let known = match self.node.op_type.as_str() {
            "Cast" => "to",
            "CumSum" => "exclusive",
            "Transpose" => "perm",
            "Gather" | "Concat" | "Split" | "Softmax" => "axis",
            _ => "",
        };
        match self.node.attribute.iter().find(|attribute| attribute.name != known) {
            Some(attribute) => Err(format!("the attribute {} is not one that is written", attribute.name)),
            None => Ok(()),
        }
    }

    fn input(&self, index: usize) -> Result<&'a Tensor, String> {
        self.inputs.get(index).copied().ok_or_else(|| format!("input {index} is missing"))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attribute.iter().find(|attribute| attribute.name == name).map_or(default, |a| a.i)
    }

    /// The first input and the axis that an attribute names, counted from the end where it is negative.
    fn input_and_axis(&self, default: i64) -> Result<(&'a Tensor, usize), String> {
        let x = self.input(0)?;
        Ok((x, axis(self.int("axis", default), x.shape.len())?))
    }

    fn floats(&self, index: usize) -> Result<&'a [f32], String> {
        match &self.input(index)?.values {
            Values::F32(values) => Ok(values),
            _ => Err(format!("input {index} is not of 32-bit floats")),
        }
    }

    /// An input of axes, sizes or places.
    fn list(&self, index: usize) -> Result<&'a [i64], String> {
        match &self.input(index)?.values {
            Values::I64(values) => Ok(values),
            _ => Err(format!("input {index} is not of 64-bit integers")),
        }
    }

    /// The one axis that an input names.
    fn listed_axis(&self, index: usize, rank: usize) -> Result<usize, String> {
        match self.list(index)? {
            [place] => axis(*place, rank),
            other => Err(format!("{} axes", other.len())),
        }
    }

    /// Two inputs in their common shape.
    fn pair(&self) -> Result<[Tensor; 2], String> {
        let (a, b) = (self.input(0)?, self.input(1)?);
        let shape = common_shape(&a.shape, &b.shape)?;
        Ok([a.expand(&shape)?, b.expand(&shape)?])
    }

    /// What is wrong with the types of the inputs.
    fn mistyped(&self) -> String {
        "the types of the inputs are not ones that are written".to_owned()
    }
}

fn axis(place: i64, rank: usize) -> Result<usize, String> {
    let from_start = if place < 0 { place + rank as i64 } else { place };
    usize::try_from(from_start)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {place} of {rank}"))
}

fn zip<T: Copy, R>(a: &[T], b: &[T], f: impl Fn(T, T) -> R) -> Vec<R> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn floats1(call: &Call, f: impl Fn(f32) -> f32) -> Outcome {
    let values = call.floats(0)?.iter().map(|&x| f(x)).collect();
    Tensor::new(call.input(0)?.shape.clone(), Values::F32(values))
}

fn floats2(call: &Call, f: impl Fn(f32, f32) -> f32) -> Outcome {
    let [a, b] = call.pair()?;
    match (&a.values, &b.values) {
        (Values::F32(x), Values::F32(y)) => Tensor::new(a.shape, Values::F32(zip(x, y, f))),
        _ => Err(call.mistyped()),
    }
}

fn arithmetic(call: &Call, floats: impl Fn(f32, f32) -> f32, ints: impl Fn(i32, i32) -> i32) -> Outcome {
    let [a, b] = call.pair()?;
    match (&a.values, &b.values) {
        (Values::I32(x), Values::I32(y)) => Tensor::new(a.shape, Values::I32(zip(x, y, ints))),
        _ => floats2(call, floats),
    }
}

fn compare(call: &Call, holds: impl Fn(i32, i32) -> bool) -> Outcome {
    let [a, b] = call.pair()?;
    match (&a.values, &b.values) {
        (Values::I32(x), Values::I32(y)) => Tensor::new(a.shape, Values::Bool(zip(x, y, holds))),
        _ => Err(call.mistyped()),
    }
}

fn and(call: &Call) -> Outcome {
    let [a, b] = call.pair()?;
    match (&a.values, &b.values) {
        (Values::Bool(x), Values::Bool(y)) => Tensor::new(a.shape, Values::Bool(zip(x, y, |a, b| a && b))),
        _ => Err(call.mistyped()),
    }
}

fn choose(call: &Call) -> Outcome {
    let [condition, yes, no] = [call.input(0)?, call.input(1)?, call.input(2)?];
    let shape = common_shape(&common_shape(&condition.shape, &yes.shape)?, &no.shape)?;
    let [condition, yes, no] = [condition.expand(&shape)?, yes.expand(&shape)?, no.expand(&shape)?];
    match (&condition.values, &yes.values, &no.values) {
        (Values::Bool(condition), Values::F32(yes), Values::F32(no)) => {
            let both = condition.iter().zip(yes.iter().zip(no));
            let values = both.map(|(&holds, (&yes, &no))| if holds { yes } else { no }).collect();
            Tensor::new(shape, Values::F32(values))
        }
        _ => Err(call.mistyped()),
    }
}

fn cast(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let to = DataType::from_i32(call.int("to", 0) as i32).ok_or("no type to cast to")?;
    let values = match (&x.values, to) {
        (Values::I64(v), DataType::INT32) => Values::I32(v.iter().map(|&v| v as i32).collect()),
        (Values::F32(v), DataType::INT32) => Values::I32(v.iter().map(|&v| v as i32).collect()),
        (Values::I32(v), DataType::BOOL) => Values::Bool(v.iter().map(|&v| v != 0).collect()),
        (Values::I32(v), DataType::FLOAT) => Values::F32(v.iter().map(|&v| v as f32).collect()),
        (Values::Bool(v), DataType::FLOAT) => Values::F32(v.iter().map(|&v| v.into()).collect()),
        (Values::F32(v), DataType::FLOAT16) => Values::F16(rounded(v)),
        (Values::F16(v), DataType::FLOAT) => Values::F32(widened(v)),
        _ => return Err(call.mistyped()),
    };
    Tensor::new(x.shape.clone(), values)
}

fn rounded(values: &[f32]) -> Vec<f16> {
    values.iter().map(|&v| f16::from_f32(v)).collect()
}

fn widened(values: &[f16]) -> Vec<f32> {
    values.iter().map(|v| v.to_f32()).collect()
}

/// Over the last axis.
fn softmax(call: &Call) -> Outcome {
    let (x, axis) = call.input_and_axis(-1)?;
    if axis + 1 != x.shape.len() {
        return Err("a softmax over another axis than the last is not written".into());
    }
    let mut values = call.floats(0)?.to_vec();
    for row in values.chunks_exact_mut(x.shape[axis].max(1)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = (*v - largest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|v| *v /= sum);
    }
    Tensor::new(x.shape.clone(), Values::F32(values))
}

/// A sum over the last axis, which stays with size 1, and what becomes of it and the number of summands.
fn reduce(call: &Call, finish: impl Fn(f32, usize) -> f32) -> Outcome {
    let x = call.input(0)?;
    let rank = x.shape.len();
    if call.listed_axis(1, rank)? + 1 != rank {
        return Err("a sum over another axis than the last is not written".into());
    }
    let mut shape = x.shape.clone();
    let n = std::mem::replace(&mut shape[rank - 1], 1);
    let sums = call.floats(0)?.chunks_exact(n.max(1)).map(|row| finish(row.iter().sum(), n)).collect();
    Tensor::new(shape, Values::F32(sums))
}

/// Sums along the last axis of the values before each, and of the value itself unless that is excluded.
fn running_sum(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let (Values::I32(values), [along]) = (&x.values, call.list(1)?) else { return Err(call.mistyped()) };
    let last = axis(*along, x.shape.len())?;
    if last + 1 != x.shape.len() {
        return Err("a running sum along another axis than the last is not written".into());
    }
    let exclusive = call.int("exclusive", 0) == 1;
    let row = |row: &[i32]| {
        let mut sum = 0_i32;
        let next = |&value: &i32| {
            let before = sum;
            sum = sum.wrapping_add(value);
            if exclusive { before } else { sum }
        };
        row.iter().map(next).collect::<Vec<_>>()
    };
    let sums = values.chunks_exact(x.shape[last].max(1)).flat_map(row).collect();
    Tensor::new(x.shape.clone(), Values::I32(sums))
}

/// A product of matrices, for each place of the axes before the last two.
fn product<B: Backend>(call: &Call, device: &B::Device) -> Outcome {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let ([a_batch @ .., rows, inner], [b_batch @ .., b_inner, columns]) = (&a.shape[..], &b.shape[..]) else {
        return Err(format!("a product of {:?} and {:?} is not written", a.shape, b.shape));
    };
    if inner != b_inner {
        return Err(format!("no product of {:?} and {:?}", a.shape, b.shape));
    }
    let batch = common_shape(a_batch, b_batch)?;
    let shape = [&batch[..], &[*rows, *columns]].concat();
    // One matrix for all is one product of all rows.
    let (n, rows) = if b_batch.is_empty() { (1, size(&batch) * rows) } else { (size(&batch), *rows) };
    let a = if b_batch.is_empty() { a.clone() } else { a.expand(&[&batch[..], &[rows, *inner]].concat())? };
    let b =
        if b_batch.is_empty() { b.clone() } else { b.expand(&[&batch[..], &[*inner, *columns]].concat())? };
    let multiply = |a: Vec<f32>, b: Vec<f32>| {
        let on_device = |values, shape| {
            DeviceTensor::<B, 3>::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        let product = on_device(a, [n, rows, *inner]).matmul(on_device(b, [n, *inner, *columns]));
        product.into_data().into_vec::<f32>().map_err(|error| format!("{error:?}"))
    };
    let values = match (a.values, b.values) {
        (Values::F32(a), Values::F32(b)) => Values::F32(multiply(a, b)?),
        (Values::F16(a), Values::F16(b)) => Values::F16(rounded(&multiply(widened(&a), widened(&b))?)),
        _ => return Err(call.mistyped()),
    };
    Tensor::new(shape, values)
}

/// Rows of the first axis.
fn gather(call: &Call) -> Outcome {
    let (table, 0) = call.input_and_axis(0)? else {
        return Err("a choice along another axis than the first is not written".into());
    };
    let places = call.input(1)?;
    let place = |place: i64| usize::try_from(place).map_err(|_| format!("row {place}"));
    let indices: Vec<usize> = match &places.values {
        Values::I64(v) => v.iter().map(|&v| place(v)).collect::<Result<_, _>>()?,
        Values::I32(v) => v.iter().map(|&v| place(v.into())).collect::<Result<_, _>>()?,
        _ => return Err(call.mistyped()),
    };
    table.rows(&indices, &places.shape)
}

/// 0 keeps the size of an axis, and -1 is what is left.
fn reshape(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let wanted = call.list(1)?;
    let wrong = || format!("{:?} does not become {wanted:?}", x.shape);
    let mut shape = Vec::new();
    for (place, &n) in wanted.iter().enumerate() {
        shape.push(match n {
            0 => *x.shape.get(place).ok_or_else(wrong)?,
            -1 => 1,
            n => usize::try_from(n).map_err(|_| wrong())?,
        });
    }
    if let Some(open) = wanted.iter().position(|&n| n == -1) {
        shape[open] = size(&x.shape).checked_div(size(&shape)).ok_or_else(wrong)?;
    }
    Tensor::new(shape, x.values.clone())
}

fn unsqueeze(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let mut shape = x.shape.clone();
    shape.insert(call.listed_axis(1, shape.len() + 1)?, 1);
    Tensor::new(shape, x.values.clone())
}

fn squeeze(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let mut shape = x.shape.clone();
    match shape.remove(call.listed_axis(1, shape.len())?) {
        1 => Tensor::new(shape, x.values.clone()),
        n => Err(format!("an axis of size {n} cannot be left out")),
    }
}

fn transpose(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let order = call.node.attribute.first().map_or(&[][..], |attribute| &attribute.ints);
    let order = order.iter().map(|&place| axis(place, x.shape.len())).collect::<Result<Vec<_>, _>>()?;
    x.transpose(&order)
}

fn split(call: &Call) -> Result<Vec<Tensor>, String> {
    let (x, axis) = call.input_and_axis(0)?;
    let mut start = 0;
    let mut part = |&length: &i64| {
        let length = usize::try_from(length).map_err(|_| format!("a part of {length} places"))?;
        start += length;
        x.slice(axis, start - length, length)
    };
    let parts = call.list(1)?.iter().map(&mut part).collect::<Result<_, _>>()?;
    if start == x.shape[axis] { Ok(parts) } else { Err(format!("{start} places of {}", x.shape[axis])) }
}

fn concat(call: &Call) -> Outcome {
    let (first, axis) = call.input_and_axis(0)?;
    let same_but_axis = |x: &&Tensor| {
        x.shape.len() == first.shape.len()
            && (0..x.shape.len()).all(|i| i == axis || x.shape[i] == first.shape[i])
    };
    if !call.inputs.iter().all(same_but_axis) {
        return Err("the shapes do not go beside one another".into());
    }
    let inner = size(&first.shape[axis + 1..]);
    let mut shape = first.shape.clone();
    shape[axis] = call.inputs.iter().map(|x| x.shape[axis]).sum();
    let inputs = (0..call.inputs.len()).map(|i| call.floats(i)).collect::<Result<Vec<_>, _>>()?;
    let mut values = Vec::with_capacity(size(&shape));
    for row in 0..size(&shape[..axis]) {
        for (x, input) in call.inputs.iter().zip(&inputs) {
            let width = x.shape[axis] * inner;
            values.extend_from_slice(&input[row * width..(row + 1) * width]);
        }
    }
    Tensor::new(shape, Values::F32(values))
}

#[cfg(test)]
mod tests;

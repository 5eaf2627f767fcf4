//! A small builder of ONNX graphs: values are handles, operators are method calls.
//!
//! Opset 18. Large weights are not in the graph but named in it ([`Data::Weight`]); their bytes are asked for when the
//! file is written.

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::type_proto;
use onnx_protobuf::{AttributeProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto};
use pair2score_scorer::names::Weight;

/// A tensor in a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value(String);

/// A size of an axis.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axis {
    /// Known.
    Fixed(usize),
    /// Known when the graph runs; axes of one name are equal.
    Named(&'static str),
}

/// Contents of an initializer.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Here, little-endian.
    Bytes(Vec<u8>),
    /// A weight of the merged backbone, transposed where it has two axes and is no table.
    Weight(Weight),
}

/// A constant of the graph.
#[derive(Debug, Clone)]
pub(super) struct Initializer {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DataType,
    pub(super) data: Data,
}

/// A graph in the making.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<Initializer>,
    pub(super) inputs: Vec<ValueInfoProto>,
    pub(super) outputs: Vec<ValueInfoProto>,
    /// Prefix of the names of new nodes.
    scope: String,
}

/// An attribute of a node.
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
}

impl Graph {
    /// Names new nodes after a part of the model.
    pub(super) fn enter(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    /// An input of the graph.
    pub(super) fn input(&mut self, name: &str, dtype: DataType, shape: &[Axis]) -> Value {
        self.inputs.push(described(name, dtype, shape));
        Value(name.into())
    }

    /// Makes a value an output under a name of its own.
    pub(super) fn output(&mut self, value: &Value, name: &str, dtype: DataType, shape: &[Axis]) {
        self.outputs.push(described(name, dtype, shape));
        self.push("Identity", &[value], &[], vec![name.into()]);
    }

    /// A constant with its values.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, shape.to_vec(), DataType::FLOAT, Data::Bytes(bytes))
    }

    /// A constant that is one number.
    pub(super) fn scalar(&mut self, name: &str, value: f64) -> Value {
        self.constant(name, &[], &[value as f32])
    }

    /// A list of integers, for axes and shapes.
    pub(super) fn ints(&mut self, values: &[i64]) -> Value {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(
            &format!("ints[{}]", words.join(",")),
            vec![values.len()],
            DataType::INT64,
            Data::Bytes(bytes),
        )
    }

    /// One integer, for the axis of a sum.
    pub(super) fn scalar_int(&mut self, value: i64) -> Value {
        let bytes = value.to_le_bytes().to_vec();
        self.initializer(&format!("int[{value}]"), Vec::new(), DataType::INT64, Data::Bytes(bytes))
    }

    /// A constant; one that is already there under the name is used again.
    pub(super) fn initializer(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        dtype: DataType,
        data: Data,
    ) -> Value {
        if !self.initializers.iter().any(|known| known.name == name) {
            self.initializers.push(Initializer { name: name.into(), shape, dtype, data });
        }
        Value(name.into())
    }

    /// An operator with one output.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let name = self.fresh(kind);
        self.push(kind, inputs, attributes, vec![name.clone()]);
        Value(name)
    }

    /// The two halves of a value along an axis of width `2 · half`.
    pub(super) fn halves(&mut self, value: &Value, axis: i64, half: usize) -> [Value; 2] {
        let sizes = self.ints(&[half as i64; 2]);
        let name = self.fresh("Split");
        let outputs = [format!("{name}.0"), format!("{name}.1")];
        self.push("Split", &[value, &sizes], &[("axis", Attribute::Int(axis))], outputs.to_vec());
        outputs.map(Value)
    }

    /// The same values with another dtype.
    pub(super) fn cast(&mut self, value: &Value, to: DataType) -> Value {
        self.op("Cast", &[value], &[("to", Attribute::Int(to as i64))])
    }

    /// The same values in another shape: 0 keeps an axis, -1 is what is left.
    pub(super) fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[value, &shape], &[])
    }

    /// The same values with an axis of size 1 more.
    pub(super) fn unsqueeze(&mut self, value: &Value, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op("Unsqueeze", &[value, &axes], &[])
    }

    /// The same values without their last axis, which has size 1.
    pub(super) fn squeeze_last(&mut self, value: &Value) -> Value {
        let axes = self.ints(&[-1]);
        self.op("Squeeze", &[value, &axes], &[])
    }

    /// Axes in another order.
    pub(super) fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[value], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    fn fresh(&self, kind: &str) -> String {
        // Nodes have one name each: their number is part of it.
        let scope = if self.scope.is_empty() { String::new() } else { format!("{}/", self.scope) };
        format!("{scope}{kind}_{}", self.nodes.len())
    }

    fn push(
        &mut self,
        kind: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        outputs: Vec<String>,
    ) {
        self.nodes.push(NodeProto {
            name: self.fresh(kind),
            op_type: kind.into(),
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs,
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            ..Default::default()
        });
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.into(), ..Default::default() };
    match value {
        Attribute::Int(value) => {
            proto.type_ = AttributeType::INT.into();
            proto.i = *value;
        }
        Attribute::Ints(values) => {
            proto.type_ = AttributeType::INTS.into();
            proto.ints = values.clone();
        }
    }
    proto
}

fn described(name: &str, dtype: DataType, shape: &[Axis]) -> ValueInfoProto {
    let dim = shape.iter().map(|axis| {
        let value = match *axis {
            Axis::Fixed(size) => dimension::Value::DimValue(size as i64),
            Axis::Named(name) => dimension::Value::DimParam(name.into()),
        };
        Dimension { value: Some(value), ..Default::default() }
    });
    let shape = TensorShapeProto { dim: dim.collect(), ..Default::default() };
    let tensor =
        type_proto::Tensor { elem_type: dtype as i32, shape: Some(shape).into(), ..Default::default() };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), type_: Some(kind).into(), ..Default::default() }
}

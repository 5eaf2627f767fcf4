//! The operators against inputs and outputs that were recorded from onnxruntime, and what they refuse.

use onnx_protobuf::AttributeProto;
use serde_json::Value;

use super::*;
use crate::test_scorers::B;

/// Differences of sums in another order, relative to the largest value of an output.
const ROUNDING: f32 = 1e-6;

fn node(kind: &str, attributes: &[(&str, &[i64])]) -> NodeProto {
    let attribute = |(name, values): &(&str, &[i64])| AttributeProto {
        name: (*name).into(),
        i: values[0],
        ints: values.to_vec(),
        ..Default::default()
    };
    NodeProto {
        op_type: kind.into(),
        attribute: attributes.iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn tensor(json: &Value) -> Tensor {
    let shape = serde_json::from_value(json["shape"].clone()).unwrap();
    let list = json["values"].as_array().unwrap();
    let float = |v: &Value| v.as_f64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap());
    let int = |v: &Value| v.as_i64().unwrap();
    let values = match json["type"].as_str().unwrap() {
        "float32" => Values::F32(list.iter().map(|v| float(v) as f32).collect()),
        "float16" => Values::F16(list.iter().map(|v| f16::from_f64(float(v))).collect()),
        "int32" => Values::I32(list.iter().map(|v| int(v) as i32).collect()),
        "int64" => Values::I64(list.iter().map(int).collect()),
        "bool" => Values::Bool(list.iter().map(|v| v.as_bool().unwrap()).collect()),
        other => panic!("{other}"),
    };
    Tensor::new(shape, values).unwrap()
}

/// Whether floats are as close as rounding allows, and everything else is equal.
fn close(found: &Tensor, expected: &Tensor) -> bool {
    let within = |found: &[f32], expected: &[f32], tolerance: f32| {
        let largest = expected.iter().copied().filter(|v| v.is_finite()).fold(1.0, f32::max);
        found.iter().zip(expected).all(|(a, b)| a == b || (a - b).abs() <= tolerance * largest)
    };
    found.shape == expected.shape
        && match (&found.values, &expected.values) {
            (Values::F32(a), Values::F32(b)) => within(a, b, ROUNDING),
            // A sum may lie just on the other side of the middle between two steps of f16.
            (Values::F16(a), Values::F16(b)) => within(&widened(a), &widened(b), 1.0 / 1024.0),
            (a, b) => a == b,
        }
}

#[test]
fn operators_do_what_onnxruntime_does() {
    let text = include_str!("../../../tests/fixtures/onnx_operators.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let kind = case["operator"].as_str().unwrap();
        let lists: Vec<(&String, Vec<i64>)> = case["attributes"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                (
                    name,
                    value
                        .as_i64()
                        .map_or_else(|| serde_json::from_value(value.clone()).unwrap(), |value| vec![value]),
                )
            })
            .collect();
        let attributes: Vec<(&str, &[i64])> =
            lists.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
        let [inputs, expected] = ["inputs", "outputs"]
            .map(|side| case[side].as_array().unwrap().iter().map(tensor).collect::<Vec<_>>());
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let found = apply::<B>(&node(kind, &attributes), &inputs, &Default::default())
            .unwrap_or_else(|problem| panic!("{kind} {attributes:?}: {problem}"));
        assert_eq!(found.len(), expected.len(), "{kind}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(close(found, expected), "{kind} {attributes:?}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn what_is_not_written_is_refused() {
    let floats =
        |shape: &[usize]| Tensor { shape: shape.to_vec(), values: Values::F32(vec![1.0; size(shape)]) };
    let axes = |place: i64| Tensor { shape: vec![1], values: Values::I64(vec![place]) };
    let table = floats(&[2, 3]);
    let refused = |kind: &str, attributes: &[(&str, &[i64])], inputs: &[&Tensor], part: &str| {
        let problem = apply::<B>(&node(kind, attributes), inputs, &Default::default()).unwrap_err();
        assert!(problem.contains(part), "{kind}: {problem}");
    };
    refused("Gelu", &[], &[&table], "the operator Gelu");
    refused("ReduceSum", &[("keepdims", &[0])], &[&table, &axes(1)], "the attribute keepdims");
    refused("ReduceSum", &[], &[&table, &axes(0)], "another axis than the last");
    refused("Add", &[], &[&table], "input 1 is missing");
    refused("Add", &[], &[&table, &axes(1)], "types of the inputs");
    refused("Add", &[], &[&table, &floats(&[2])], "do not go together");
    refused("MatMul", &[], &[&table, &table], "no product of [2, 3] and [2, 3]");
    refused("Gather", &[("axis", &[0])], &[&table, &axes(2)], "row 2 of 2");
    refused("Gather", &[("axis", &[0])], &[&table, &axes(-1)], "row -1");
    refused("Reshape", &[], &[&table, &axes(7)], "6 values for the shape [7]");
    refused("Squeeze", &[], &[&table, &axes(1)], "an axis of size 3");
    refused("Unsqueeze", &[], &[&table, &axes(4)], "axis 4 of 3");
    refused("Split", &[("axis", &[1])], &[&table, &axes(2)], "2 places of 3");
    refused("Transpose", &[("perm", &[0, 0])], &[&table], "no order of the axes");
}

//! Writing a graph with its weights, one weight in memory at a time.
//!
//! A protobuf message may have its fields in any order and its repeated fields in pieces. So the file is the graph
//! without initializers, as the library serialises it, followed by the initializers one by one; all lengths are known
//! beforehand. A protobuf file ends at 2 GB: larger models keep their weights in a file beside it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use onnx_protobuf::tensor_proto::{DataLocation, DataType};
use onnx_protobuf::{
    GraphProto, Message, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
};

use super::MODEL;
use super::graph::{Data, Graph, Initializer};
use crate::ExportError;

/// The version of the operators' meanings, and the oldest file version that has it.
const OPSET: i64 = 18;
const IR_VERSION: i64 = 8;

/// Name of the file with the weights, beside the model.
pub(super) const EXTERNAL: &str = "model.onnx_data";

/// Bytes of initializers above which they go to [`EXTERNAL`]; leaves room below 2 GiB for the graph itself.
pub(super) const EXTERNAL_ABOVE: usize = 1_900_000_000;

/// Tensors below this stay in the model file: their place and length would take as much.
const SMALL: usize = 1024;

/// Offsets in the external file are multiples of this, so that runtimes can map it.
const ALIGNMENT: usize = 4096;

/// Numbers of the fields that are written by hand.
pub(super) const MODEL_GRAPH: u32 = 7;
pub(super) const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// Writes the model. `weight` gives the bytes of an initializer that the graph only names.
///
/// # Errors
/// When a file cannot be written or a weight cannot be had.
pub(super) fn write(
    folder: &Path,
    graph: &Graph,
    metadata: &[(&str, String)],
    external_above: usize,
    mut weight: impl FnMut(&Initializer) -> Result<Vec<u8>, ExportError>,
) -> Result<(), ExportError> {
    let initializers = &graph.initializers;
    let external = initializers.iter().map(size).sum::<usize>() > external_above;
    let places = places(initializers, external);
    if external {
        write_external(&folder.join(EXTERNAL), initializers, &places, &mut weight)?;
    }
    let heads: Vec<Vec<u8>> = initializers.iter().zip(&places).map(|(i, p)| head(i, *p)).collect();
    // The length of a TensorProto: its head, and its data where they are inside.
    let lengths: Vec<u64> = initializers
        .iter()
        .zip(&heads)
        .zip(&places)
        .map(|((initializer, head), place)| {
            let data = if place.is_none() { field_length(size(initializer) as u64) } else { 0 };
            head.len() as u64 + data
        })
        .collect();

    let rest = GraphProto {
        name: "scorer".into(),
        node: graph.nodes.clone(),
        input: graph.inputs.clone(),
        output: graph.outputs.clone(),
        ..Default::default()
    };
    let (model, rest) = (serialised(&model(metadata)), serialised(&rest));
    let graph_length = rest.len() as u64 + lengths.iter().map(|&n| field_length(n)).sum::<u64>();

    let path = folder.join(MODEL);
    let failed = |error| ExportError::io(&path, "write")(error);
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(failed);
    put(&model)?;
    put(&tag(MODEL_GRAPH, graph_length))?;
    put(&rest)?;
    for (((initializer, head), place), length) in initializers.iter().zip(&heads).zip(&places).zip(&lengths) {
        put(&tag(GRAPH_INITIALIZER, *length))?;
        put(head)?;
        if place.is_none() {
            put(&tag(TENSOR_RAW_DATA, size(initializer) as u64))?;
            put(&bytes(initializer, &mut weight)?)?;
        }
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// Everything of the file but its graph.
fn model(metadata: &[(&str, String)]) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "pair2score".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSetIdProto { version: OPSET, ..Default::default() }],
        metadata_props: metadata.iter().map(|(key, value)| entry(key, value.clone())).collect(),
        ..Default::default()
    }
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value, ..Default::default() }
}

fn serialised(message: &impl Message) -> Vec<u8> {
    message.write_to_bytes().expect("a message in memory serialises")
}

/// Offset in the external file of every initializer that goes there.
fn places(initializers: &[Initializer], external: bool) -> Vec<Option<usize>> {
    let mut end = 0_usize;
    let place = |initializer: &Initializer| {
        if !external || size(initializer) < SMALL {
            return None;
        }
        let start = end.next_multiple_of(ALIGNMENT);
        end = start + size(initializer);
        Some(start)
    };
    initializers.iter().map(place).collect()
}

fn write_external(
    path: &Path,
    initializers: &[Initializer],
    places: &[Option<usize>],
    weight: &mut impl FnMut(&Initializer) -> Result<Vec<u8>, ExportError>,
) -> Result<(), ExportError> {
    let failed = |error| ExportError::io(path, "write")(error);
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut end = 0;
    for (initializer, place) in initializers.iter().zip(places) {
        let Some(start) = *place else { continue };
        file.write_all(&vec![0; start - end]).map_err(failed)?;
        file.write_all(&bytes(initializer, weight)?).map_err(failed)?;
        end = start + size(initializer);
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// A TensorProto without its data; with a place, it says where they are.
fn head(initializer: &Initializer, place: Option<usize>) -> Vec<u8> {
    let mut proto = TensorProto {
        name: initializer.name.clone(),
        dims: initializer.shape.iter().map(|&n| n as i64).collect(),
        data_type: initializer.dtype as i32,
        ..Default::default()
    };
    if let Some(offset) = place {
        proto.data_location = DataLocation::EXTERNAL.into();
        proto.external_data = vec![
            entry("location", EXTERNAL.into()),
            entry("offset", offset.to_string()),
            entry("length", size(initializer).to_string()),
        ];
    }
    serialised(&proto)
}

/// The bytes of an initializer: its own, or what `weight` gives.
///
/// # Errors
/// When a weight cannot be had.
pub(super) fn bytes(
    initializer: &Initializer,
    weight: &mut impl FnMut(&Initializer) -> Result<Vec<u8>, ExportError>,
) -> Result<Vec<u8>, ExportError> {
    let bytes = match &initializer.data {
        Data::Bytes(bytes) => bytes.clone(),
        Data::Weight(_) => weight(initializer)?,
    };
    assert_eq!(bytes.len(), size(initializer), "{} has the bytes of its shape", initializer.name);
    Ok(bytes)
}

/// Bytes of an initializer's data.
fn size(initializer: &Initializer) -> usize {
    let element = match initializer.dtype {
        DataType::INT64 => 8,
        DataType::FLOAT16 => 2,
        _ => 4,
    };
    initializer.shape.iter().product::<usize>() * element
}

/// The beginning of a field of `length` bytes: its number with the wire type 2, and the length.
fn tag(number: u32, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mut value in [u64::from(number) << 3 | 2, length] {
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }
    bytes
}

/// Length of a field of `length` bytes with its beginning; all numbers here are below 16 and take one byte.
fn field_length(length: u64) -> u64 {
    tag(1, length).len() as u64 + length
}

#[cfg(test)]
mod tests {
    use super::super::graph::Axis;
    use super::*;
    use pair2score_scorer::names::Weight;

    /// A graph with a small constant, a large one and a weight.
    fn graph() -> Graph {
        let mut g = Graph::default();
        let x = g.input("x", DataType::FLOAT, &[Axis::Named("n")]);
        let small = g.scalar("small", 2.0);
        let large = g.constant("large", &[300], &[0.5; 300]);
        let weight = g.initializer("weight", vec![600], DataType::FLOAT16, Data::Weight(Weight::FinalNorm));
        let y = g.op("Mul", &[&x, &small], &[]);
        let y = g.op("Concat", &[&y, &large, &weight], &[]);
        g.output(&y, "y", DataType::FLOAT, &[Axis::Named("m")]);
        g
    }

    fn written(external_above: usize) -> (tempfile::TempDir, ModelProto) {
        let folder = tempfile::tempdir().unwrap();
        let metadata = [("trait", "grammar".to_owned())];
        write(folder.path(), &graph(), &metadata, external_above, |_| Ok(vec![7; 1200])).unwrap();
        let bytes = std::fs::read(folder.path().join("model.onnx")).unwrap();
        (folder, ModelProto::parse_from_bytes(&bytes).unwrap())
    }

    #[test]
    fn the_pieces_are_one_message() {
        let (folder, model) = written(1 << 20);
        assert!(!folder.path().join(EXTERNAL).exists());
        assert_eq!((model.ir_version, model.opset_import[0].version), (8, 18));
        assert_eq!(model.metadata_props[0].value, "grammar");
        let graph = &model.graph;
        assert_eq!(graph.node.len(), 3);
        let sizes: Vec<_> = graph.initializer.iter().map(|t| (t.name.as_str(), t.raw_data.len())).collect();
        assert_eq!(sizes, [("small", 4), ("large", 1200), ("weight", 1200)]);
        assert_eq!(graph.initializer[2].raw_data, [7; 1200]);
        // Serialised by the library, the message is as long: nothing is in it twice.
        let length = std::fs::metadata(folder.path().join("model.onnx")).unwrap().len();
        assert_eq!(model.compute_size(), length);
    }

    #[test]
    fn beyond_the_limit_the_large_tensors_lie_beside_the_model() {
        let (folder, model) = written(2000);
        let data = std::fs::read(folder.path().join(EXTERNAL)).unwrap();
        assert_eq!(data.len(), 4096 + 1200);
        let tensors = &model.graph.initializer;
        assert_eq!(tensors[0].raw_data.len(), 4);
        let place = |i: usize| {
            let entries = tensors[i].external_data.iter();
            entries.map(|e| (e.key.as_str(), e.value.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(place(1), [("location", EXTERNAL), ("offset", "0"), ("length", "1200")]);
        assert_eq!(place(2), [("location", EXTERNAL), ("offset", "4096"), ("length", "1200")]);
        assert_eq!(data[..4], 0.5_f32.to_le_bytes());
        assert_eq!(data[4096..], [7; 1200]);
    }
}

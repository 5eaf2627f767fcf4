//! Reading a written graph, one initializer in memory at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use onnx_protobuf::tensor_proto::{DataLocation, DataType};
use onnx_protobuf::{NodeProto, TensorProto};
use protobuf::rt::WireType;
use protobuf::{CodedInputStream, Enum};

use super::MODEL;
use super::write::{EXTERNAL, GRAPH_INITIALIZER, MODEL_GRAPH};
use crate::ExportError;

/// Number of the field of a graph with its nodes.
const GRAPH_NODE: u32 = 1;

/// An initializer as the files have it, little-endian.
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DataType,
    pub(super) bytes: Vec<u8>,
}

/// Gives the nodes of the graph in a folder, and its initializers to `each` in their order.
///
/// # Errors
/// When a file is missing or no ONNX model, or `each` refuses an initializer.
pub(super) fn read(
    folder: &Path,
    mut each: impl FnMut(Stored) -> Result<(), String>,
) -> Result<Vec<NodeProto>, ExportError> {
    let path = folder.join(MODEL);
    let file = File::open(&path).map_err(ExportError::io(&path, "read"))?;
    let mut file = BufReader::new(file);
    let mut nodes = Vec::new();
    let mut tensor = |proto: TensorProto| {
        let name = proto.name.clone();
        stored(folder, proto).and_then(&mut each).map_err(|problem| format!("{name}: {problem}"))
    };
    walk(&mut CodedInputStream::from_buf_read(&mut file), &mut nodes, &mut tensor)
        .map_err(|problem| ExportError::read_back(&path, problem))?;
    Ok(nodes)
}

/// Every field of the model but its graph is passed over, and in the graph everything but nodes and initializers.
fn walk(
    input: &mut CodedInputStream,
    nodes: &mut Vec<NodeProto>,
    tensor: &mut impl FnMut(TensorProto) -> Result<(), String>,
) -> Result<(), String> {
    let broken = |error: protobuf::Error| format!("not an ONNX model: {error}");
    while let Some(tag) = input.read_raw_tag_or_eof().map_err(broken)? {
        if tag >> 3 != MODEL_GRAPH {
            skip(input, tag)?;
            continue;
        }
        let length = input.read_raw_varint64().map_err(broken)?;
        let model = input.push_limit(length).map_err(broken)?;
        while let Some(tag) = input.read_raw_tag_or_eof().map_err(broken)? {
            match tag >> 3 {
                GRAPH_NODE => nodes.push(input.read_message().map_err(broken)?),
                GRAPH_INITIALIZER => tensor(input.read_message().map_err(broken)?)?,
                _ => skip(input, tag)?,
            }
        }
        input.pop_limit(model);
    }
    Ok(())
}

fn skip(input: &mut CodedInputStream, tag: u32) -> Result<(), String> {
    let wire_type = WireType::new(tag & 7).ok_or("not an ONNX model: a field of no type")?;
    input.skip_field(wire_type).map_err(|error| format!("not an ONNX model: {error}"))
}

fn stored(folder: &Path, proto: TensorProto) -> Result<Stored, String> {
    let dtype = DataType::from_i32(proto.data_type).ok_or("has no type")?;
    let size = |&n: &i64| usize::try_from(n).map_err(|_| format!("an axis of size {n}"));
    let shape = proto.dims.iter().map(size).collect::<Result<_, _>>()?;
    let bytes = match proto.data_location.enum_value() {
        Ok(DataLocation::EXTERNAL) => external(folder, &proto)?,
        _ => proto.raw_data,
    };
    Ok(Stored { name: proto.name, shape, dtype, bytes })
}

/// The bytes that lie beside the model.
fn external(folder: &Path, proto: &TensorProto) -> Result<Vec<u8>, String> {
    let entries: HashMap<&str, &str> =
        proto.external_data.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    if entries.get("location") != Some(&EXTERNAL) {
        return Err(format!("lies in {:?}, not in {EXTERNAL}", entries.get("location")));
    }
    let number = |key| {
        let text = entries.get(key).copied().unwrap_or_default();
        text.parse::<u64>().map_err(|_| format!("has the {key} {text:?}"))
    };
    let (offset, length) = (number("offset")?, number("length")?);
    let bytes = || -> io::Result<Vec<u8>> {
        let mut file = File::open(folder.join(EXTERNAL))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    bytes().map_err(|error| format!("cannot read {EXTERNAL}: {error}"))
}

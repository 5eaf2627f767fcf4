//! The container: metadata by key, and tensors by name.
//!
//! The layout is that of <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.
//! Every length and offset is checked against the file before anything of that length is allocated, and tensors are
//! read one at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use pair2score_data::files::open;

use crate::BackboneError;
use crate::gguf::blocks::TensorType;
use crate::gguf::value::Value;

/// An open file.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    file: File,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// Where a tensor lies and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The longest stride first, as in Hugging Face's files; GGUF itself has it the other way round.
    pub shape: Vec<usize>,
    /// How its values are stored.
    pub kind: TensorType,
    /// From the beginning of the file.
    start: u64,
    bytes: usize,
}

/// Values in all lists of a file's metadata: real vocabularies with their scores and merges have two million.
const MAX_VALUES: u64 = 1 << 23;
/// Bytes of a text: the longest real ones are templates of chats.
const MAX_TEXT: u64 = 1 << 24;
/// Depth of lists in lists.
const MAX_DEPTH: usize = 4;
/// Alignment of tensors where the metadata does not state it, in bytes.
const ALIGNMENT: u64 = 32;

impl Gguf {
    /// Reads everything but the tensors' values.
    ///
    /// # Errors
    /// When the file is missing, is no GGUF file, is cut short or damaged, or has a tensor of a type that is not read.
    pub fn open(path: &Path) -> Result<Self, BackboneError> {
        let file = open(path).map_err(BackboneError::io(path))?;
        let length = file.metadata().map_err(BackboneError::io(path))?.len();
        let mut header =
            Header { input: BufReader::new(&file), position: 0, length, values_left: MAX_VALUES };
        let (metadata, tensors) = header.read().map_err(|problem| BackboneError::invalid(path, problem))?;
        Ok(Self { path: path.into(), file, metadata, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys and values that describe the model, its tokenizer included.
    pub(crate) fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The values of a tensor, `None` where there is no such tensor.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn values(&self, name: &str) -> Result<Option<Vec<f32>>, BackboneError> {
        let Some(info) = self.tensors.get(name) else { return Ok(None) };
        let mut bytes = vec![0; info.bytes];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(info.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(BackboneError::io(&self.path))?;
        Ok(Some(info.kind.decode(&bytes)))
    }
}

/// What lies before the tensors' values, read from front to back.
struct Header<'a> {
    input: BufReader<&'a File>,
    position: u64,
    length: u64,
    values_left: u64,
}

type Parts = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

impl Header<'_> {
    fn read(&mut self) -> Result<Parts, String> {
        self.magic()?;
        let tensor_count = self.u64()?;
        let entry_count = self.u64()?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let key = self.text("a key")?;
            let kind = self.u32()?;
            let value =
                self.value(kind, 0).map_err(|problem| format!("{problem} (in the value of {key:?})"))?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(format!("has the key {key:?} twice"));
            }
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = self.text("a tensor's name")?;
            let info = self.tensor_info(&name)?;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(format!("has the tensor {name:?} twice"));
            }
        }
        self.place(&metadata, &mut tensors)?;
        Ok((metadata, tensors))
    }

    fn magic(&mut self) -> Result<(), String> {
        let magic = self.take::<4>().map_err(|_| "is not a GGUF file: it is shorter than 4 bytes")?;
        if magic == *b"vers" {
            return Err(
                "is a pointer of Git LFS, not the file; run `git lfs pull` where it comes from".into()
            );
        }
        if magic != *b"GGUF" {
            return Err("is not a GGUF file: it does not begin with the letters GGUF".into());
        }
        match self.u32()? {
            2 | 3 => Ok(()),
            version if (2..=3).contains(&version.swap_bytes()) => {
                Err("is a big-endian GGUF file; take the little-endian one".into())
            }
            version => Err(format!(
                "is a GGUF file of version {version}, only 2 and 3 are read; convert the model with a newer llama.cpp"
            )),
        }
    }

    /// A tensor with its offset in the place of its start.
    fn tensor_info(&mut self, name: &str) -> Result<TensorInfo, String> {
        let axes = self.u32()?;
        if !(1..=4).contains(&axes) {
            return Err(format!("tensor {name:?} has {axes} axes, a tensor has 1 to 4"));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(self.u64()?);
        }
        let kind = self.u32()?;
        let start = self.u64()?;
        let kind = TensorType::from_id(kind).map_err(|unread| {
            let read = TensorType::ALL.map(TensorType::name).join(", ");
            format!(
                "tensor {name:?} is of the type {unread}, which is not read; take a file of one of {read}"
            )
        })?;
        if shape.contains(&0) {
            return Err(format!("tensor {name:?} has no values"));
        }
        if !shape[0].is_multiple_of(kind.block_len() as u64) {
            let (length, block) = (shape[0], kind.block_len());
            return Err(format!(
                "tensor {name:?} has rows of {length} values, which are no blocks of {block}"
            ));
        }
        let values = shape.iter().try_fold(1_u64, |product, &axis| product.checked_mul(axis));
        let blocks = values.map(|values| values / kind.block_len() as u64);
        let bytes = blocks.and_then(|blocks| blocks.checked_mul(kind.block_bytes() as u64));
        let bytes = bytes
            .filter(|&bytes| bytes <= self.length)
            .ok_or_else(|| self.cut_short(&format!("the end of tensor {name:?}")))?;
        let shape = shape.into_iter().rev().map(|axis| axis as usize).collect();
        Ok(TensorInfo { shape, kind, start, bytes: bytes as usize })
    }

    /// Turns the offsets of tensors into places in the file and checks them.
    fn place(
        &self,
        metadata: &BTreeMap<String, Value>,
        tensors: &mut BTreeMap<String, TensorInfo>,
    ) -> Result<(), String> {
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n,
            Some(_) => return Err("\"general.alignment\" is not a power of two up to 2^20".into()),
        };
        let data_start = self.position.next_multiple_of(alignment);
        for (name, info) in tensors {
            if !info.start.is_multiple_of(alignment) {
                return Err(format!("tensor {name:?} does not begin at a multiple of {alignment} bytes"));
            }
            let start = data_start.checked_add(info.start);
            let fits =
                |start: &u64| start.checked_add(info.bytes as u64).is_some_and(|end| end <= self.length);
            info.start =
                start.filter(fits).ok_or_else(|| self.cut_short(&format!("the end of tensor {name:?}")))?;
        }
        Ok(())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(self.take::<1>()?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.take()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.take()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.take()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.take()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.take()?)),
            7 => match self.take::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(format!("is damaged: a truth value is {other}")),
            },
            8 => Value::Text(self.text("a text")?),
            9 => self.list(depth)?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.take()?)),
            12 => Value::Double(f64::from_le_bytes(self.take()?)),
            other => return Err(format!("is damaged: there is no type of values with number {other}")),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        if depth == MAX_DEPTH {
            return Err(format!("has lists in lists beyond {MAX_DEPTH} levels"));
        }
        let kind = self.u32()?;
        let count = self.u64()?;
        // No value takes less than a byte.
        if count > self.length - self.position {
            return Err(self.cut_short("the end of a list"));
        }
        self.values_left = self
            .values_left
            .checked_sub(count)
            .ok_or_else(|| format!("has more than {MAX_VALUES} values"))?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(Value::List(values))
    }

    fn text(&mut self, what: &str) -> Result<String, String> {
        let length = self.u64()?;
        if length > self.length - self.position {
            return Err(self.cut_short(&format!("the end of {what}")));
        }
        if length > MAX_TEXT {
            return Err(format!("is damaged: {what} has {length} bytes"));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| format!("is damaged: {what} is not UTF-8"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.cut_short("the end of its header"),
            _ => format!("cannot be read: {error}"),
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn cut_short(&self, what: &str) -> String {
        format!("is cut short: {what} lies beyond its {} bytes; fetch it again", self.length)
    }
}

//! Writing safetensors tensor by tensor, for models that are held once and not a second time as bytes.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};

use crate::{ScorerError, WeightDType};

/// A file in the making. What it will hold is stated first, then every tensor is given in that order. Not atomic: for
/// folders that take their place when they are whole.
#[derive(Debug)]
pub struct TensorWriter {
    path: PathBuf,
    file: BufWriter<File>,
    dtype: WeightDType,
    /// Name and shape of the tensors still to come.
    expected: VecDeque<(String, Vec<usize>)>,
}

impl TensorWriter {
    /// Begins a file of these tensors, all in one dtype.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(
        path: &Path,
        tensors: &[(String, Vec<usize>)],
        dtype: WeightDType,
    ) -> Result<Self, ScorerError> {
        let mut offset = 0;
        let infos = tensors.iter().map(|(name, shape)| {
            let start = offset;
            offset += shape.iter().product::<usize>() * dtype.size();
            let (dtype, shape) = (dtype.stored(), shape.clone());
            (name.clone(), TensorInfo { dtype, shape, data_offsets: (start, offset) })
        });
        // Transformers refuses a file that does not say which framework's layout it has.
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let header = Metadata::new(Some(format), infos.collect())
            .map_err(|error| ScorerError::invalid(path, format!("cannot be described: {error}")))?;
        let mut header = serde_json::to_vec(&header).expect("a header serialises");
        header.resize(header.len().next_multiple_of(8), b' ');

        let mut file = BufWriter::new(File::create(path).map_err(ScorerError::io(path))?);
        file.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| file.write_all(&header))
            .map_err(ScorerError::io(path))?;
        Ok(Self { path: path.into(), file, dtype, expected: tensors.to_vec().into() })
    }

    /// Writes the next tensor.
    ///
    /// # Errors
    /// When the file cannot be written, or a value is not finite.
    ///
    /// # Panics
    /// When it is not the next one, or of another size.
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<(), ScorerError> {
        let next = self.expected.pop_front();
        let (expected, shape) = next.as_ref().map_or(("", &[][..]), |(name, shape)| (name, shape));
        let size = shape.iter().product();
        assert_eq!((name, values.len()), (expected, size), "tensors come in the stated order");
        self.dtype.check(&self.path, name, shape, values)?;
        // In pieces, so that a large tensor is not held a second time.
        for piece in values.chunks(1 << 16) {
            self.file.write_all(&self.dtype.encode(piece)).map_err(ScorerError::io(&self.path))?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    ///
    /// # Panics
    /// When tensors are missing.
    pub fn finish(self) -> Result<(), ScorerError> {
        assert!(self.expected.is_empty(), "missing tensors: {:?}", self.expected);
        let file = self.file.into_inner().map_err(|error| ScorerError::io(&self.path)(error.into_error()))?;
        file.sync_all().map_err(ScorerError::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{StoredTensor, TensorFile, write_tensors};

    /// Every third value cannot be said in 16 bits.
    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 - 7.0) / 3.0).collect()
    }

    #[test]
    fn reads_as_what_is_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = [("b".to_owned(), vec![3, 5]), ("a".to_owned(), vec![7])];
        for dtype in [WeightDType::F32, WeightDType::F16, WeightDType::Bf16] {
            let path = folder.path().join("streamed.safetensors");
            let mut writer = TensorWriter::create(&path, &tensors, dtype).unwrap();
            writer.write("b", &values(15)).unwrap();
            writer.write("a", &values(7)).unwrap();
            writer.finish().unwrap();

            let whole = folder.path().join("whole.safetensors");
            let stored = |(name, shape): &(String, Vec<usize>)| {
                let values = values(shape.iter().product());
                (name.clone(), StoredTensor { shape: shape.clone(), values, dtype })
            };
            write_tensors(&whole, &tensors.iter().map(stored).collect::<BTreeMap<_, _>>(), &[]).unwrap();

            let (streamed, whole) = (TensorFile::open(&path).unwrap(), TensorFile::open(&whole).unwrap());
            assert_eq!(streamed.metadata("format"), Some("pt"));
            streamed.expect(&tensors, |_| false).unwrap();
            for (name, _) in &tensors {
                let [a, b] = [&streamed, &whole].map(|file| file.read(name, WeightDType::Auto).unwrap());
                assert_eq!(a, b, "{name} in {dtype:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "in the stated order")]
    fn a_tensor_out_of_order_is_our_own_bug() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = [("a".to_owned(), vec![1]), ("b".to_owned(), vec![1])];
        let path = folder.path().join("x.safetensors");
        let mut writer = TensorWriter::create(&path, &tensors, WeightDType::F32).unwrap();
        let _ = writer.write("b", &[0.0]);
    }
}

//! Where tensors come from while a module is put together: a file, or a bundle that has arrived.

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, backend::Backend};

use crate::ScorerError;
use crate::dtype::WeightDType;
use crate::tensor_file::TensorFile;

/// Tensors by name, each asked for once; whoever asks has checked names and shapes before.
pub(crate) trait TensorSource<B: Backend> {
    /// A tensor on the device.
    fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<B, D>, ScorerError>;

    /// As a parameter that asks for no gradient.
    fn frozen<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<B, D>>, ScorerError> {
        Ok(Param::initialized(ParamId::new(), self.tensor(name)?))
    }

    /// As a parameter that asks for a gradient where the backend has some.
    fn trainable<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<B, D>>, ScorerError> {
        Ok(Param::initialized(ParamId::new(), self.tensor(name)?.require_grad()))
    }
}

/// A safetensors file, read one tensor at a time.
pub(crate) struct FileSource<'a, B: Backend> {
    pub(crate) file: &'a TensorFile,
    /// What the file puts before every name.
    pub(crate) prefix: &'static str,
    /// The dtype on the device.
    pub(crate) dtype: WeightDType,
    pub(crate) device: &'a B::Device,
}

impl<B: Backend> TensorSource<B> for FileSource<'_, B> {
    fn tensor<const D: usize>(&mut self, name: &str) -> Result<Tensor<B, D>, ScorerError> {
        let data = self.file.read(&format!("{}{name}", self.prefix), self.dtype)?;
        let dtype = data.dtype;
        Ok(Tensor::from_data(data, (self.device, dtype)))
    }
}

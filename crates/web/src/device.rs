//! The one place that names a backend.

#[cfg(feature = "webgpu")]
mod chosen {
    use burn::backend::wgpu::{WgpuDevice, graphics::AutoGraphicsApi, init_setup_async};
    use burn::tensor::{DType, backend::Backend as _};

    pub(crate) type Backend = burn::backend::Wgpu;
    pub(crate) const NAME: &str = "webgpu";

    /// The device, and whether f16 weights stay f16 on it. The page has made sure that there is an adapter: without one
    /// this would not return.
    pub(crate) async fn open() -> (WgpuDevice, bool) {
        let device = WgpuDevice::default();
        init_setup_async::<AutoGraphicsApi>(&device, Default::default()).await;
        let keep_f16 = Backend::supports_dtype(&device, DType::F16);
        (device, keep_f16)
    }
}

#[cfg(not(feature = "webgpu"))]
mod chosen {
    use burn::backend::flex::FlexDevice;

    pub(crate) type Backend = burn::backend::Flex;
    pub(crate) const NAME: &str = "cpu";

    /// The device, and whether f16 weights stay f16 on it: products in f16 are slow and coarse here.
    pub(crate) async fn open() -> (FlexDevice, bool) {
        (FlexDevice, false)
    }
}

pub(crate) use chosen::{Backend, NAME, open};

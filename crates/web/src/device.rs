//! The one place that names a backend.

use pair2score_scorer::Placement;

#[cfg(feature = "webgpu")]
mod chosen {
    use burn::backend::wgpu::{WgpuDevice, graphics::AutoGraphicsApi, init_setup_async};
    use burn::tensor::{DType, backend::Backend as _};

    use super::Placement;

    pub(crate) type Backend = burn::backend::Wgpu;
    pub(crate) const NAME: &str = "webgpu";

    /// The page has made sure that there is an adapter: without one this would not return.
    pub(crate) async fn open() -> (WgpuDevice, Placement) {
        let device = WgpuDevice::default();
        init_setup_async::<AutoGraphicsApi>(&device, Default::default()).await;
        let keep_f16 = Backend::supports_dtype(&device, DType::F16);
        // The table is the one tensor that may be larger than a buffer can be.
        (device, Placement { keep_f16, host_table: true })
    }
}

#[cfg(not(feature = "webgpu"))]
mod chosen {
    use burn::backend::flex::FlexDevice;

    use super::Placement;

    pub(crate) type Backend = burn::backend::Flex;
    pub(crate) const NAME: &str = "cpu";

    pub(crate) async fn open() -> (FlexDevice, Placement) {
        // Products in f16 are slow and coarse here; the table is only read from.
        (FlexDevice, Placement { keep_f16: false, host_table: true })
    }
}

pub(crate) use chosen::{Backend, NAME, open};

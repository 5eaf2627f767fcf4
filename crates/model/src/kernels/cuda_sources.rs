//! The CUDA source of our kernels, without a card: a runtime that translates what it is asked to launch and computes
//! nothing. `scripts/peers/nvrtc_check.py` names a folder for the sources and compiles them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, backend::Backend, backend::DeviceOps, ops::QTensorOps};
use burn_cubecl::CubeBackend;
use cubecl::bytes::Bytes;
use cubecl::client::ComputeClient;
use cubecl::cuda::{CudaCompiler, CudaRuntime};
use cubecl::device::{Device, DeviceId, DeviceService, ServerUtilitiesHandle};
use cubecl::future::DynFut;
use cubecl::ir::features::TypeUsage;
use cubecl::ir::{
    AddressType, DeviceProperties, ElemType, FloatKind, HardwareProperties, IntKind, MemoryDeviceProperties,
    TargetProperties, UIntKind, VectorSize,
};
use cubecl::prelude::{CubeCount, ExecutionMode, KernelId, KernelMetadata};
use cubecl::profile::{ProfileDuration, TimingMethod};
use cubecl::server::{
    Binding, ComputeServer, CopyDescriptor, KernelArguments, ProfileError, ProfilingToken,
    ServerCommunication, ServerError, ServerUtilities,
};
use cubecl::stream_id::StreamId;
use cubecl::zspace::{Shape, Strides};
use cubecl::{Compiler, CubeTask, MemoryAllocationMode, MemoryUsage, Runtime};
use cubecl_runtime::allocator::PitchedMemoryLayoutPolicy;
use cubecl_runtime::logging::ServerLogger;
use cubecl_runtime::memory_management::ManagedMemoryHandle;
use cubecl_runtime::storage::{ComputeStorage, ManagedResource};

use super::composed::unwrap;
use super::{AttentionPlan, Dropout, Kernels, SavedAttention, SavedNorm};
use crate::{PadSide, RotaryTable, TokenBatch, packed};

/// Tensors on no card.
type Recording = CubeBackend<Translator, f32, i32, u8>;

/// What was launched: by the name of a kernel, its sources, or why it has none.
static LAUNCHED: Mutex<BTreeMap<String, Vec<Result<String, String>>>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone, Default, PartialEq)]
struct NoCard;

impl Device for NoCard {
    fn from_id(_: DeviceId) -> Self {
        Self
    }

    fn to_id(&self) -> DeviceId {
        DeviceId { type_id: 0, index_id: 0 }
    }
}

impl DeviceOps for NoCard {}

#[derive(Debug, Clone)]
struct Translator;

impl Runtime for Translator {
    type Compiler = CudaCompiler;
    type Server = Recorder;
    type Device = NoCard;

    fn client(device: &NoCard) -> ComputeClient<Self> {
        ComputeClient::load(device)
    }

    fn name(_: &ComputeClient<Self>) -> &'static str {
        "translator"
    }

    fn require_array_lengths() -> bool {
        CudaRuntime::require_array_lengths()
    }

    fn max_cube_count() -> (u32, u32, u32) {
        CudaRuntime::max_cube_count()
    }

    fn can_read_tensor(shape: &Shape, strides: &Strides) -> bool {
        CudaRuntime::can_read_tensor(shape, strides)
    }

    fn target_properties() -> TargetProperties {
        CudaRuntime::target_properties()
    }

    fn enumerate_devices(_: u16, (): &()) -> Vec<DeviceId> {
        vec![NoCard.to_id()]
    }
}

#[derive(Debug)]
struct Recorder {
    utilities: Arc<ServerUtilities<Self>>,
    seen: HashSet<KernelId>,
}

impl DeviceService for Recorder {
    fn init(_: DeviceId) -> Self {
        let memory = MemoryDeviceProperties { max_page_size: 1 << 34, alignment: 512 };
        // Of an A100; our kernels ask for none of it.
        let hardware = HardwareProperties {
            load_width: 128,
            plane_size_min: 32,
            plane_size_max: 32,
            max_bindings: 1024,
            max_shared_memory_size: 163 << 10,
            max_cube_count: CudaRuntime::max_cube_count(),
            max_units_per_cube: 1024,
            max_cube_dim: (1024, 1024, 64),
            num_streaming_multiprocessors: Some(108),
            num_tensor_cores: Some(4),
            min_tensor_cores_dim: Some(8),
            num_cpu_cores: None,
            max_vector_size: VectorSize::MAX,
        };
        let mut properties =
            DeviceProperties::new(Default::default(), memory, hardware, TimingMethod::System);
        properties.register_address_type(AddressType::U32);
        for kind in [
            ElemType::Float(FloatKind::F32),
            ElemType::Int(IntKind::I32),
            ElemType::UInt(UIntKind::U32),
            ElemType::UInt(UIntKind::U8),
            ElemType::Bool,
        ] {
            properties.register_type_usage(kind, TypeUsage::all());
        }
        let policy = PitchedMemoryLayoutPolicy::new(512);
        let utilities = ServerUtilities::new(properties, Arc::new(ServerLogger::default()), (), policy);
        Self { utilities: Arc::new(utilities), seen: HashSet::new() }
    }

    fn utilities(&self) -> ServerUtilitiesHandle {
        self.utilities.clone()
    }
}

impl ServerCommunication for Recorder {
    const SERVER_COMM_ENABLED: bool = false;
}

impl ComputeServer for Recorder {
    type Kernel = Box<dyn CubeTask<CudaCompiler>>;
    type Info = ();
    type MemoryLayoutPolicy = PitchedMemoryLayoutPolicy;
    type Storage = <<CudaRuntime as Runtime>::Server as ComputeServer>::Storage;

    #[allow(unsafe_code, reason = "the trait asks for it; nothing runs")]
    unsafe fn launch(
        &mut self,
        kernel: Self::Kernel,
        _: CubeCount,
        _: KernelArguments,
        mode: ExecutionMode,
        _: StreamId,
    ) {
        let ours = kernel.name().starts_with(env!("CARGO_CRATE_NAME"));
        if !ours || !self.seen.insert(kernel.id()) {
            return;
        }
        // As the runtime for CUDA has it.
        let mut options = <CudaCompiler as Compiler>::CompilationOptions::default();
        options.supports_features.fast_math = true;
        options.supports_features.grid_constants = true;
        let compiled = kernel.compile(&mut Default::default(), &options, mode, kernel.address_type());
        let source = compiled.map(|compiled| compiled.source).map_err(|error| error.to_string());
        // Of the type of a kernel, the module of its name: what follows is that name in capitals, with parameters.
        let path = kernel.name().split('<').next().unwrap_or_default();
        let name = path.rsplit("::").nth(1).unwrap_or_default().to_owned();
        LAUNCHED.lock().unwrap().entry(name).or_default().push(source);
    }

    fn initialize_memory(&mut self, _: ManagedMemoryHandle, _: u64, _: StreamId) {}

    fn write(&mut self, _: Vec<(CopyDescriptor, Bytes)>, _: StreamId) {}

    fn read(&mut self, wanted: Vec<CopyDescriptor>, _: StreamId) -> DynFut<Result<Vec<Bytes>, ServerError>> {
        let sizes = wanted.iter().map(|wanted| wanted.shape.iter().product::<usize>() * wanted.elem_size);
        let zeros = sizes.map(|size| Bytes::from_bytes_vec(vec![0; size])).collect();
        Box::pin(async move { Ok(zeros) })
    }

    fn sync(&mut self, _: StreamId) -> DynFut<Result<(), ServerError>> {
        Box::pin(async { Ok(()) })
    }

    fn flush(&mut self, _: StreamId) -> Result<(), ServerError> {
        Ok(())
    }

    fn logger(&self) -> Arc<ServerLogger> {
        self.utilities.logger.clone()
    }

    fn utilities(&self) -> Arc<ServerUtilities<Self>> {
        self.utilities.clone()
    }

    fn memory_cleanup(&mut self, _: StreamId) {}

    fn allocation_mode(&mut self, _: MemoryAllocationMode, _: StreamId) {}

    fn get_resource(
        &mut self,
        _: Binding,
        _: StreamId,
    ) -> Result<ManagedResource<<Self::Storage as ComputeStorage>::Resource>, ServerError> {
        unreachable!("nothing has memory here")
    }

    fn memory_usage(&mut self, _: StreamId) -> Result<MemoryUsage, ServerError> {
        unreachable!("nobody asks for the memory of no card")
    }

    fn start_profile(&mut self, _: StreamId) -> Result<ProfilingToken, ServerError> {
        unreachable!("nobody asks for times of no card")
    }

    fn end_profile(&mut self, _: StreamId, _: ProfilingToken) -> Result<ProfileDuration, ProfileError> {
        unreachable!("nobody asks for times of no card")
    }
}

/// Sizes of a model that kernels are compiled for.
struct Sizes {
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    d_ff: usize,
}

/// The demonstration's backbone, SmolLM2 135M and Llama 3.2 1B.
const MODELS: [Sizes; 3] = [
    Sizes { n_heads: 6, n_kv_heads: 3, head_dim: 16, d_ff: 256 },
    Sizes { n_heads: 9, n_kv_heads: 3, head_dim: 64, d_ff: 1536 },
    Sizes { n_heads: 32, n_kv_heads: 8, head_dim: 64, d_ff: 8192 },
];

/// Launches every kernel at the sizes of a model.
fn launch_all(sizes: &Sizes) {
    let Sizes { n_heads, n_kv_heads, head_dim, d_ff } = *sizes;
    let device = NoCard;
    // With padding, whose tensors are made otherwise.
    let batch = TokenBatch::<Recording>::padded(&[&[1; 70], &[1; 3]], 0, PadSide::Right, 0, &device);
    let [slots] = batch.ids.dims();
    let zeros = |width: usize| unwrap(Tensor::<Recording, 2>::zeros([slots, width], &device));
    let plan = AttentionPlan {
        spans: batch.spans.clone(),
        n_heads,
        n_kv_heads,
        head_dim,
        rotary: RotaryTable::new(&vec![1.0; head_dim / 2], batch.longest(), &device),
        padded: None,
    };
    let d_model = n_heads * head_dim;
    let [queries, grad] = [zeros(d_model), zeros(d_model)];
    let [keys, values] = [zeros(n_kv_heads * head_dim), zeros(n_kv_heads * head_dim)];
    let (output, log_sum) = Recording::rotary_attention(queries.clone(), keys.clone(), values.clone(), &plan);
    let saved = SavedAttention { queries, keys, values, output, log_sum, plan };
    let gradients = Recording::rotary_attention_backward(saved.clone(), grad);
    // Kernels write rows without gaps; CUDA would give other tensors some.
    for tensor in gradients.iter().chain([&saved.output, &saved.log_sum]) {
        assert!(tensor.is_contiguous(), "{:?}", tensor.meta);
    }

    let gate = || zeros(d_ff);
    Recording::gated_silu(gate(), gate());
    Recording::gated_silu_backward(gate(), gate(), gate());

    let x = || zeros(d_model);
    let weight = unwrap(Tensor::<Recording, 1>::ones([d_model], &device));
    let (_, scale) = Recording::rms_norm(x(), weight.clone(), 1e-5);
    Recording::rms_norm_backward(SavedNorm { x: x(), weight, scale }, x());
    Recording::dropped(x(), Dropout { keep: 0.9, seed: 1 });

    let packed = packed::data(packed::pack(&vec![0.5; d_ff * d_model]), vec![d_ff, d_model]);
    Recording::packed_projection(x(), Recording::q_from_data(packed, &device));
    Recording::sync(&device).unwrap();
}

/// The names after `#[cube(launch)]` in our files.
fn kernels_in_files() -> Vec<String> {
    let files = [
        include_str!("cube/attention.rs"),
        include_str!("cube/attention_gradient.rs"),
        include_str!("cube/mod.rs"),
        include_str!("cube/packed.rs"),
        include_str!("cube/strips.rs"),
    ];
    let after = files.iter().flat_map(|file| file.split("#[cube(launch)]\nfn ").skip(1));
    let mut names: Vec<_> =
        after.filter_map(|rest| Some(rest.split(['(', '<']).next()?.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn every_kernel_has_a_cuda_source() {
    MODELS.iter().for_each(launch_all);
    let launched = LAUNCHED.lock().unwrap();
    assert_eq!(launched.keys().cloned().collect::<Vec<_>>(), kernels_in_files());
    let folder = std::env::var("PAIR2SCORE_CUDA_SOURCES").ok();
    for (name, sources) in launched.iter() {
        for (i, source) in sources.iter().enumerate() {
            let source = source.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Some(folder) = &folder {
                std::fs::write(Path::new(folder).join(format!("{name}_{i}.cu")), source).unwrap();
            }
        }
    }
}

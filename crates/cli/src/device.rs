//! The devices of this build, and running something on one of them.

use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Result, bail};
use pair2score_train::TrainBackend;
use pair2score_train::config::{DeviceKind, Settings};

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// This machine's processor.
    Cpu,
    /// The N-th NVIDIA card; `None` leaves the number to the configuration.
    Cuda(Option<usize>),
    /// A card through Vulkan, Metal or DirectX 12.
    Wgpu,
}

impl Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(number)) => write!(f, "cuda:{number}"),
            Self::Wgpu => f.write_str("wgpu"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(None)),
            None if text == "wgpu" => Ok(Self::Wgpu),
            Some(("cuda", number)) => {
                let number = number.parse().map_err(|_| format!("{number:?} is not a card number"))?;
                Ok(Self::Cuda(Some(number)))
            }
            _ => Err("expected cpu, cuda, cuda:N or wgpu".into()),
        }
    }
}

/// A device of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// This machine's processor.
    #[cfg(feature = "cpu")]
    Cpu,
    /// The NVIDIA card of this number.
    #[cfg(feature = "cuda")]
    Cuda(usize),
    /// A card through Vulkan, Metal or DirectX 12.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "cpu")]
            Self::Cpu => f.write_str("cpu"),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => f.write_str("wgpu"),
        }
    }
}

/// Something that runs on any backend.
pub trait OnDevice {
    /// What it gives.
    type Output;
    /// Runs it; `name` is the device's name for reports.
    ///
    /// # Errors
    /// Its own.
    fn run<B: TrainBackend>(self, device: &B::Device, name: &str) -> Result<Self::Output>;
}

impl Device {
    /// The device for a command: the option, else the configuration's, else CUDA where there is some, else the CPU.
    ///
    /// # Errors
    /// When the device is not in this build or not in this machine.
    pub fn choose(option: Option<DeviceChoice>, settings: Option<&Settings>) -> Result<Self> {
        let number = settings.map_or(0, |settings| settings.hardware.cuda_device);
        let configured = settings.and_then(|settings| settings.hardware.device).map(|kind| match kind {
            DeviceKind::Cpu => DeviceChoice::Cpu,
            DeviceKind::Cuda => DeviceChoice::Cuda(None),
            DeviceKind::Wgpu => DeviceChoice::Wgpu,
        });
        match option.or(configured) {
            Some(choice) => Self::open(choice, number),
            None => {
                Ok(Self::open(DeviceChoice::Cuda(None), number)
                    .or_else(|_| Self::open(DeviceChoice::Cpu, 0))?)
            }
        }
    }

    /// Further cards for the steps of a run on this device: those of the configuration, unless the option names a card.
    ///
    /// # Errors
    /// When a card is not in this machine.
    pub fn others(self, option: Option<DeviceChoice>, settings: &Settings) -> Result<Vec<usize>> {
        let cards = settings.hardware.cuda_devices();
        let others = match (self, option) {
            #[cfg(feature = "cuda")]
            (Self::Cuda(_), None | Some(DeviceChoice::Cuda(None))) => &cards[1..],
            _ => &cards[..0],
        };
        for &number in others {
            Self::open(DeviceChoice::Cuda(Some(number)), 0)?;
        }
        Ok(others.to_vec())
    }

    fn open(choice: DeviceChoice, default_number: usize) -> Result<Self> {
        match choice {
            #[cfg(feature = "cpu")]
            DeviceChoice::Cpu => Ok(Self::Cpu),
            #[cfg(feature = "cuda")]
            DeviceChoice::Cuda(number) => {
                let number = number.unwrap_or(default_number);
                match cuda_cards() {
                    0 => bail!("no CUDA device: no NVIDIA driver or no card was found; use --device cpu"),
                    count if number >= count => {
                        bail!("no CUDA device {number}: this machine has {count}, numbered from 0")
                    }
                    _ => Ok(Self::Cuda(number)),
                }
            }
            #[cfg(feature = "wgpu")]
            DeviceChoice::Wgpu => match wgpu_cards() {
                0 => bail!("no graphics adapter for wgpu was found; use --device cpu"),
                _ => Ok(Self::Wgpu),
            },
            #[allow(unreachable_patterns, reason = "reached in builds that lack a device")]
            missing => {
                let _ = default_number;
                let name = match missing {
                    DeviceChoice::Cpu => "cpu",
                    DeviceChoice::Cuda(_) => "cuda",
                    DeviceChoice::Wgpu => "wgpu",
                };
                bail!("this build has no {name} device; build with `--features {name}`")
            }
        }
    }

    /// Every device of this build that is there.
    pub(crate) fn all() -> Vec<Self> {
        [
            #[cfg(feature = "cpu")]
            vec![Self::Cpu],
            #[cfg(feature = "cuda")]
            (0..cuda_cards()).map(Self::Cuda).collect(),
            #[cfg(feature = "wgpu")]
            (0..wgpu_cards().min(1)).map(|_| Self::Wgpu).collect(),
        ]
        .concat()
    }

    /// Runs something here.
    ///
    /// # Errors
    /// Its own.
    pub fn run<T: OnDevice>(self, task: T) -> Result<T::Output> {
        use burn::backend::Autodiff;
        let name = self.to_string();
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => task.run::<Autodiff<burn::backend::Flex>>(&Default::default(), &name),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => task
                .run::<Autodiff<burn::backend::Cuda>>(&burn::backend::cuda::CudaDevice::new(number), &name),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => task.run::<Autodiff<burn::backend::Wgpu>>(&Default::default(), &name),
        }
    }
}

/// Cards a backend sees; a missing driver panics inside it, which means none.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn cards<B: burn::tensor::backend::Backend>(kind: u16) -> usize {
    pair2score_data::caught(|| B::device_count(kind)).unwrap_or(0)
}

#[cfg(feature = "cuda")]
fn cuda_cards() -> usize {
    cards::<burn::backend::Cuda>(0)
}

/// Discrete, integrated, virtual and software adapters, by burn's type numbers. Nothing but a user's word leads to wgpu,
/// so the slow ones count too.
#[cfg(feature = "wgpu")]
fn wgpu_cards() -> usize {
    (0..4).map(cards::<burn::backend::Wgpu>).sum()
}

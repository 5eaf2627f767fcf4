//! `devices`: what this build can use here.

use anyhow::Result;

use crate::Answer;
use crate::device::Device;

/// Lists devices; negative when there is none.
pub(crate) fn run() -> Result<Answer> {
    let devices = Device::all();
    for device in &devices {
        outln!("{device}");
    }
    for (name, built) in [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))] {
        if !built {
            errln!("{name}: not in this build (`--features {name}`)");
        } else if !devices.iter().any(|device| device.to_string().starts_with(name)) {
            errln!("{name}: in this build, no device found");
        }
    }
    Ok(if devices.is_empty() { Answer::No } else { Answer::Yes })
}

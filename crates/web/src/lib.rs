//! What the pages call: the scorer as a class, and judgements.
//!
//! The key decision: nothing is computed here. The crate picks a backend, moves bytes in and numbers out, and turns
//! errors into `{ code, message }`; the model is the same `scorer` and `model` that run natively, and the mathematics of
//! judgements is that of `data`. It compiles to three files, by features: a scorer per backend, of which a page loads
//! the one it can use, and judgements without burn. The small ones are not paid for by the large one. The cost is
//! three builds.
//!
//! Every function that waits for the device is async, because a page cannot block on it.

#[cfg(any(feature = "cpu", feature = "webgpu"))]
mod device;
mod error;
#[cfg(feature = "judgements")]
mod features;
#[cfg(feature = "judgements")]
mod inference;
#[cfg(feature = "judgements")]
mod judgements;
#[cfg(any(feature = "cpu", feature = "webgpu"))]
mod scoring;

use serde::Serialize;
use wasm_bindgen::prelude::*;

#[cfg(feature = "judgements")]
pub use features::DocumentFeatures;
#[cfg(feature = "judgements")]
pub use inference::{infer, inferred_csv, judged_heads};
#[cfg(feature = "judgements")]
pub use judgements::{JudgementPlan, fit_csv, merge, parse_gold, parse_pair_list, statistics};
#[cfg(any(feature = "cpu", feature = "webgpu"))]
pub use scoring::{JudgedBundle, PageLoader, PageScorer, PageShare, backend, heads_shard};

/// Runs once, when the file is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| error::log(&panic.to_string())));
}

/// A plain object of the page.
fn value(content: &impl Serialize) -> JsValue {
    let text = serde_json::to_string(content).expect("numbers and names serialise");
    js_sys::JSON::parse(&text).expect("the line above wrote JSON")
}

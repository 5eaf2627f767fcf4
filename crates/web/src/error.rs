//! Errors as a page wants them: `{ code, message }`.

use serde::Serialize;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Writes to the page's console.
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub(crate) fn log(text: &str);
}

/// What went wrong, as the page distinguishes it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(
    not(all(feature = "cpu", feature = "judgements")),
    allow(dead_code, reason = "one file, one half")
)]
enum Code {
    /// The manifest cannot be used.
    Manifest,
    /// A file is not the manifest's; fetching it again may help.
    Damaged,
    /// There is no room for it.
    TooLarge,
    /// The device failed.
    Device,
    /// The scorer's content is wrong.
    Scorer,
    /// A text comes without the prompt that the scorer reads with it.
    NoPrompt,
    /// A text comes with a prompt, and the scorer reads none.
    NeedlessPrompt,
    /// A file of judgements or pairs, or a setting, cannot be used.
    Data,
}

#[derive(Serialize)]
struct Failure {
    code: Code,
    message: String,
}

/// An error of a scorer as an object of the page.
#[cfg(any(feature = "cpu", feature = "webgpu"))]
pub(crate) fn scoring_failure(error: impl Into<pair2score_scorer::BundleError>) -> JsValue {
    use pair2score_scorer::{BundleError, ScorerError};
    let error = error.into();
    let code = match &error {
        BundleError::Manifest(_) => Code::Manifest,
        BundleError::Damaged { .. } => Code::Damaged,
        BundleError::TooLarge(_) => Code::TooLarge,
        BundleError::Scorer(ScorerError::Device(_)) => Code::Device,
        BundleError::Scorer(_) => Code::Scorer,
    };
    crate::value(&Failure { code, message: error.to_string() })
}

/// A prompt too few or too many, as an object of the page.
#[cfg(any(feature = "cpu", feature = "webgpu"))]
pub(crate) fn prompt_failure(mismatch: pair2score_data::PromptMismatch) -> JsValue {
    use pair2score_data::PromptMismatch;
    let (code, message) = match mismatch {
        PromptMismatch::Missing => (
            Code::NoPrompt,
            "This scorer reads the prompt of a text with it. Give it as \"prompt\", or \"\" where a text answers none.",
        ),
        PromptMismatch::Needless => {
            (Code::NeedlessPrompt, "This scorer reads texts without prompts. Leave out \"prompt\".")
        }
    };
    crate::value(&Failure { code, message: message.into() })
}

/// An error of the data, with its reasons, as an object of the page.
#[cfg(feature = "judgements")]
pub(crate) fn data_failure(error: impl std::error::Error) -> JsValue {
    crate::value(&Failure { code: Code::Data, message: chain(&error) })
}

/// The message and those of its sources, on one line.
#[cfg(feature = "judgements")]
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    message
}

//! Errors as a page wants them: `{ code, message }`.

use pair2score_scorer::{BundleError, ScorerError};
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
}

/// The error as an object of the page.
pub(crate) fn failure(error: impl Into<BundleError>) -> JsValue {
    #[derive(Serialize)]
    struct Failure {
        code: Code,
        message: String,
    }
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

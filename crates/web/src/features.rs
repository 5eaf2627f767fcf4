//! What is known of the documents of a project beside their judgements.

use std::sync::Arc;

use pair2score_data::Result as DataResult;
use pair2score_data::judgements::Features;
use wasm_bindgen::prelude::*;

use crate::error::data_failure as failure;

/// What a scorer read in the documents.
#[wasm_bindgen]
pub struct DocumentFeatures(Arc<Features>);

#[wasm_bindgen]
impl DocumentFeatures {
    /// `rows` has the embedding of each document, and last what the scorer `says` of it, if it says something; without
    /// rows nothing is known of them.
    ///
    /// # Errors
    /// Numbers that are not finite, or not as many for each document.
    #[wasm_bindgen(constructor)]
    pub fn new(documents: usize, rows: &[f32], says: bool) -> Result<DocumentFeatures, JsValue> {
        Self::of(documents, rows, says).map_err(failure)
    }
}

impl DocumentFeatures {
    pub(crate) fn of(documents: usize, rows: &[f32], says: bool) -> DataResult<Self> {
        Ok(Self(Features::of_rows(documents, rows, says.then_some((0, 1)))?.into()))
    }

    /// For all that follows from them.
    pub(crate) fn get(&self) -> &Features {
        &self.0
    }

    /// For a plan.
    pub(crate) fn shared(&self) -> Arc<Features> {
        Arc::clone(&self.0)
    }
}

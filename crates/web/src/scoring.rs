//! The scorer as a class.

use pair2score_scorer::{BundleLoader, Comparison, Encoded, HostTableEncoder, Scored, Scorer};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::device::{self, Backend};
use crate::error::scoring_failure as failure;
use crate::value;

/// The backend of this file: `cpu` or `webgpu`.
#[wasm_bindgen]
pub fn backend() -> String {
    device::NAME.into()
}

/// A scorer of which the weights are still on their way.
#[wasm_bindgen]
pub struct PageLoader(BundleLoader<Backend>);

#[wasm_bindgen]
impl PageLoader {
    /// Opens the device and checks the text of a `manifest.json`.
    ///
    /// # Errors
    /// When the manifest cannot be used.
    pub async fn open(manifest: String) -> Result<PageLoader, JsValue> {
        let (device, keep_f16) = device::open().await;
        Ok(Self(BundleLoader::new(&manifest, keep_f16, &device).map_err(failure)?))
    }

    /// Checks the next shard and moves it to the device. A shard that is refused may be put again.
    ///
    /// # Errors
    /// With the code `damaged` when it is not the shard of the manifest.
    pub async fn put(&mut self, shard: Vec<u8>) -> Result<(), JsValue> {
        self.0.put_shard(&shard).map_err(failure)?;
        drop(shard);
        self.0.settle().await.map_err(failure)
    }

    /// Checks and takes `tokenizer.json`.
    ///
    /// # Errors
    /// With the code `damaged` when it is not the manifest's.
    pub fn put_tokenizer(&mut self, tokenizer: &[u8]) -> Result<(), JsValue> {
        self.0.put_tokenizer(tokenizer).map_err(failure)
    }

    /// The scorer, once everything is there.
    ///
    /// # Errors
    /// When something is missing.
    pub fn finish(self) -> Result<PageScorer, JsValue> {
        Ok(PageScorer(self.0.finish_with_host_table().map_err(failure)?))
    }
}

/// A loaded scorer. Its embedding table, the one tensor that may be larger than a device's buffer can be and that is
/// only read from, stays on the host.
#[wasm_bindgen]
pub struct PageScorer(Scorer<Backend, HostTableEncoder<Backend>>);

/// What a page hears about a text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TextResult {
    /// In rubric units; `None` without stage 2.
    score: Option<f64>,
    /// Nearest grade; `None` without stage 2 or grades.
    grade: Option<f64>,
    /// The score as the scorer's calibration corrects it; `None` without one.
    calibrated: Option<f64>,
    /// The grade by its thresholds; `None` without calibration or grades.
    calibrated_grade: Option<f64>,
    /// Unitless; `None` without stage 1 or where it was not asked for.
    utility: Option<f64>,
    /// Tokens that were read.
    tokens: usize,
    /// Tokens of the whole text.
    full_length: usize,
}

#[wasm_bindgen]
impl PageScorer {
    /// Scores a text.
    ///
    /// # Errors
    /// When the device fails, or a number is not finite.
    pub async fn score(&self, text: String) -> Result<JsValue, JsValue> {
        let document = self.encode(&text)?;
        let scored = self.scored(&document).await?;
        Ok(value(&TextResult::new(&document, scored, None)))
    }

    /// Scores two texts and says how strongly stage 1 prefers the first.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn compare(&self, a: String, b: String) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct PairResult {
            texts: [TextResult; 2],
            /// Probability that the first is better; `None` without stage 1.
            preference: Option<f64>,
        }
        let (a, b) = (self.encode(&a)?, self.encode(&b)?);
        let (score_a, utility_a) = self.both(&a).await?;
        let (score_b, utility_b) = self.both(&b).await?;
        let utilities = utility_a.zip(utility_b).map(|(a, b)| [a, b]);
        let texts = [TextResult::new(&a, score_a, utility_a), TextResult::new(&b, score_b, utility_b)];
        Ok(value(&PairResult { texts, preference: Comparison { utilities, scores: None }.preference() }))
    }

    /// The utility of a text, by which documents are ranked; its score where there is no stage 1.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn rank(&self, text: String) -> Result<f64, JsValue> {
        let document = self.encode(&text)?;
        if let Some(utility) = self.utility(&document).await? {
            return Ok(utility);
        }
        // A scorer has one head at least.
        Ok(self.scored(&document).await?.map_or(f64::NAN, |scored| scored.score))
    }

    async fn both(&self, document: &Encoded) -> Result<(Option<Scored>, Option<f64>), JsValue> {
        Ok((self.scored(document).await?, self.utility(document).await?))
    }

    /// The score in the one trait of a scorer that has a page.
    async fn scored(&self, document: &Encoded) -> Result<Option<Scored>, JsValue> {
        let scored = self.0.score_async(document).await.map_err(failure)?;
        Ok(scored.and_then(|scored| scored.first().copied()))
    }

    /// The utility in that trait.
    async fn utility(&self, document: &Encoded) -> Result<Option<f64>, JsValue> {
        let utilities = self.0.utility_async(document).await.map_err(failure)?;
        Ok(utilities.and_then(|utilities| utilities.first().copied()))
    }

    fn encode(&self, text: &str) -> Result<Encoded, JsValue> {
        self.0.text_encoder.encode(text).map_err(failure)
    }
}

impl TextResult {
    fn new(document: &Encoded, scored: Option<Scored>, utility: Option<f64>) -> Self {
        let calibrated = scored.and_then(|scored| scored.calibrated);
        Self {
            score: scored.map(|scored| scored.score),
            grade: scored.and_then(|scored| scored.grade),
            calibrated: calibrated.map(|calibrated| calibrated.score),
            calibrated_grade: calibrated.and_then(|calibrated| calibrated.grade),
            utility,
            tokens: document.ids.len(),
            full_length: document.full_length,
        }
    }
}

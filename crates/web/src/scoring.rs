//! The scorer as a class.

use pair2score_data::judgements::JudgedHeads;
use pair2score_scorer::{
    BundleError, BundleLoader, Comparison, Encoded, Golden, HostTableEncoder, Manifest, PerTrait, Reheaded,
    Scored, Scorer, rehead,
};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::device::{self, Backend};
use crate::error::scoring_failure as failure;
use crate::value;

/// Golden texts of a bundle that judgements made, the shortest: each is read while somebody waits.
const GOLDEN: usize = 3;

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

    /// The embedding of a text, and last what the scorer says of it, unless it is a backbone alone.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn embed(&self, text: String) -> Result<Vec<f32>, JsValue> {
        let document = self.encode(&text)?;
        let mut row = self.0.embed_and_say_async(&document).await.map_err(failure)?;
        // Of a scorer of several traits the first counts.
        let others = if self.0.says_something() { self.0.settings.traits.len() - 1 } else { 0 };
        row.truncate(row.len() - others);
        Ok(row)
    }

    /// Puts heads that came from judgements in the place of its own: what replaces the end of its bundle, of which the
    /// manifest and the shard are given in which [heads begin](heads_shard). It is for the processor: on a card its
    /// tensors cannot be read at once.
    ///
    /// # Errors
    /// When heads, manifest or shard are not about this scorer.
    pub async fn judged(
        self,
        heads: String,
        manifest: String,
        shard: Vec<u8>,
    ) -> Result<JudgedBundle, JsValue> {
        let heads: JudgedHeads = serde_json::from_str(&heads)
            .map_err(|error| failure(BundleError::Manifest(format!("the heads are none: {error}"))))?;
        let manifest = Manifest::parse(&manifest).map_err(failure)?;
        let scorer = self.0.judged(&heads, 0).map_err(failure)?;
        let mut texts: Vec<&Golden> =
            manifest.golden.iter().filter(|golden| !golden.text.trim().is_empty()).collect();
        texts.sort_by_key(|golden| golden.text.len());
        let mut golden = Vec::new();
        for Golden { text, .. } in texts.into_iter().take(GOLDEN) {
            let document = scorer.text_encoder.encode(text).map_err(failure)?;
            let scored = scorer.score_async(&document).await.map_err(failure)?;
            let utilities = scorer.utility_async(&document).await.map_err(failure)?;
            golden.push(Golden {
                text: text.clone(),
                score: scored.map(|scored| PerTrait::One(scored[0].score)),
                utility: utilities.map(|utilities| PerTrait::One(utilities[0])),
            });
        }
        Ok(JudgedBundle(rehead(&manifest, &shard, &scorer, golden).map_err(failure)?))
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

/// The shard of a manifest in which the heads begin.
///
/// # Errors
/// A manifest that cannot be used.
#[wasm_bindgen]
pub fn heads_shard(manifest: &str) -> Result<usize, JsValue> {
    let manifest = Manifest::parse(manifest).map_err(failure)?;
    Ok(manifest.heads_begin().map_err(failure)?.0)
}

/// What replaces the end of a bundle.
#[wasm_bindgen]
pub struct JudgedBundle(Reheaded);

#[wasm_bindgen]
impl JudgedBundle {
    /// The text of `manifest.json`.
    pub fn manifest(&self) -> String {
        self.0.manifest.clone()
    }

    /// The names of its new shards.
    pub fn shards(&self) -> Vec<String> {
        self.0.shards.iter().map(|(file, _)| file.clone()).collect()
    }

    /// The bytes of one of them; nothing where there is none.
    pub fn shard(&self, place: usize) -> Option<Vec<u8>> {
        self.0.shards.get(place).map(|(_, bytes)| bytes.clone())
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

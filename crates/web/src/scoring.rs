//! The scorer as a class.

use js_sys::Float32Array;
use pair2score_data::PromptMismatch;
use pair2score_data::judgements::JudgedHeads;
use pair2score_scorer::{
    BundleError, BundleLoader, Comparison, Encoded, Golden, HostTableEncoder, Manifest, Near, PerTrait,
    Reheaded, Scored, Scorer, Share, rehead,
};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::device::{self, Backend};
use crate::error::{prompt_failure, scoring_failure as failure};
use crate::value;

/// Golden texts of a bundle that judgements made, the shortest: each is read while somebody waits.
const GOLDEN: usize = 3;

/// Graded documents that are named beside a score.
const NEAREST: usize = 3;

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
    /// In the order of the scorer's traits.
    traits: Vec<TraitResult>,
    /// Tokens that were read.
    tokens: usize,
    /// Tokens of the whole text.
    full_length: usize,
}

/// What a page hears about a text in one trait.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TraitResult {
    /// In rubric units; `None` without stage 2.
    score: Option<f64>,
    /// Nearest grade; `None` without stage 2 or grades.
    grade: Option<f64>,
    /// The score as the scorer's calibration corrects it; `None` without one.
    calibrated: Option<f64>,
    /// The grade by its thresholds; `None` without calibration or grades.
    calibrated_grade: Option<f64>,
    /// The lowest and the highest label that people are likely to give; `None` without intervals.
    interval: Option<[f64; 2]>,
    /// Unitless; `None` without stage 1 or where it was not asked for.
    utility: Option<f64>,
    /// The places of the anchors that resemble the text most, the nearest first; none where it was not asked for.
    nearest: Vec<usize>,
}

#[wasm_bindgen]
impl PageScorer {
    /// Scores a text in all traits, which share one pass through the backbone. `prompt` is what the text answers, which may
    /// be blank, where the scorer reads prompts; else there is none.
    ///
    /// # Errors
    /// When the device fails, or a number is not finite; a prompt too few or too many, with the code `no-prompt` or
    /// `needless-prompt`.
    pub async fn score(&self, text: String, prompt: Option<String>) -> Result<JsValue, JsValue> {
        let document = self.encode(&text, prompt.as_deref())?;
        let scored = self.0.score_beside_async(&document, NEAREST).await.map_err(failure)?;
        let (scores, near) = scored.unzip();
        Ok(value(&self.beside(&document, scores.as_deref(), near.unwrap_or_default())))
    }

    /// What the worker at a place of several reads of a text; nothing where the text has too few tokens for so many.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn share(
        &self,
        text: &str,
        prompt: Option<String>,
        place: usize,
        workers: usize,
    ) -> Result<Option<PageShare>, JsValue> {
        let document = self.encode(text, prompt.as_deref())?;
        let mut all = self.0.shares(document.ids.len(), workers);
        // The scorer that speaks is the last, however many there are.
        let first = workers - all.len();
        let share = place.checked_sub(first).map(|place| PageShare {
            first,
            share: self.0.share(&document, all.swap_remove(place)),
            document,
        });
        Ok(share)
    }

    /// Takes a share through the next layer, with what the shares before it came to there, and gives what it comes to; behind
    /// the last layer its hidden states.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn pass(&self, share: &mut PageShare, earlier: Vec<Float32Array>) -> Result<Vec<f32>, JsValue> {
        self.0.pass(&mut share.share, &arrays(&earlier)).await.map_err(failure)
    }

    /// As [`score`](Self::score), from the last share and the hidden states of those before it.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub async fn score_shared(
        &self,
        share: PageShare,
        earlier: Vec<Float32Array>,
    ) -> Result<JsValue, JsValue> {
        let PageShare { share, document, .. } = share;
        let scored = self.0.score_shared(share, &arrays(&earlier), NEAREST).await;
        let (scores, near) = scored.map_err(failure)?;
        Ok(value(&self.beside(&document, Some(&scores), near)))
    }

    /// Scores two texts, which answer one prompt, and says, in each trait, how strongly stage 1 prefers the first.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub async fn compare(&self, a: String, b: String, prompt: Option<String>) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct PairResult {
            texts: [TextResult; 2],
            /// Probability that the first is better, in each trait; `None` without stage 1.
            preferences: Vec<Option<f64>>,
        }
        let prompt = prompt.as_deref();
        let texts = [self.both(&a, prompt).await?, self.both(&b, prompt).await?];
        let of_trait = |(a, b): (&TraitResult, &TraitResult)| {
            let utilities = a.utility.zip(b.utility).map(|(a, b)| [a, b]);
            Comparison { utilities, scores: None }.preference()
        };
        let preferences = texts[0].traits.iter().zip(&texts[1].traits).map(of_trait).collect();
        Ok(value(&PairResult { texts, preferences }))
    }

    /// The embedding of a text, and last what the scorer says of it in each trait, unless it is a backbone alone.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub async fn embed(&self, text: String, prompt: Option<String>) -> Result<Vec<f32>, JsValue> {
        let document = self.encode(&text, prompt.as_deref())?;
        self.0.embed_and_say_async(&document).await.map_err(failure)
    }

    /// Puts heads that came from judgements in the place of its own, those of the trait at `place`: what replaces the end
    /// of its bundle, of which the manifest and the shard are given in which [heads begin](heads_shard). It is for the
    /// processor: on a card its tensors cannot be read at once.
    ///
    /// # Errors
    /// When heads, manifest or shard are not about this scorer.
    pub async fn judged(
        self,
        heads: String,
        place: usize,
        manifest: String,
        shard: Vec<u8>,
    ) -> Result<JudgedBundle, JsValue> {
        let heads: JudgedHeads = serde_json::from_str(&heads)
            .map_err(|error| failure(BundleError::Manifest(format!("the heads are none: {error}"))))?;
        let manifest = Manifest::parse(&manifest).map_err(failure)?;
        let traits = self.0.settings.traits.len();
        if place >= traits {
            let problem = format!("the heads are of trait {place}, counted from 0, of {traits}");
            return Err(failure(BundleError::Manifest(problem)));
        }
        let scorer = self.0.judged(&heads, place).map_err(failure)?;
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

    /// A text by both stages.
    async fn both(&self, text: &str, prompt: Option<&str>) -> Result<TextResult, JsValue> {
        let document = self.encode(text, prompt)?;
        let scores = self.0.score_async(&document).await.map_err(failure)?;
        let utilities = self.0.utility_async(&document).await.map_err(failure)?;
        Ok(self.result(&document, scores.as_deref(), utilities.as_deref()))
    }

    /// What is said of a document, with its scores and the nearest anchors in each trait, where there are some.
    fn beside(&self, document: &Encoded, scores: Option<&[Scored]>, near: Vec<Vec<Near>>) -> TextResult {
        let mut result = self.result(document, scores, None);
        for (of, near) in result.traits.iter_mut().zip(near) {
            of.nearest = near.into_iter().map(|Near { anchor, .. }| anchor).collect();
        }
        result
    }

    /// What is said of a document, with what there is in each trait.
    fn result(&self, document: &Encoded, scores: Option<&[Scored]>, utilities: Option<&[f64]>) -> TextResult {
        let of_trait = |place: usize| {
            TraitResult::new(scores.map(|scores| scores[place]), utilities.map(|numbers| numbers[place]))
        };
        TextResult {
            traits: (0..self.0.settings.traits.len()).map(of_trait).collect(),
            tokens: document.ids.len(),
            full_length: document.full_length,
        }
    }

    fn encode(&self, text: &str, prompt: Option<&str>) -> Result<Encoded, JsValue> {
        let template = self.0.settings.prompt_template.as_ref();
        PromptMismatch::check(template, prompt.is_some()).map_err(prompt_failure)?;
        self.0.text_encoder.passage(&(prompt.unwrap_or_default(), text), template).map_err(failure)
    }
}

/// What one of several workers reads of a text.
#[wasm_bindgen]
pub struct PageShare {
    first: usize,
    share: Share<Backend>,
    document: Encoded,
}

#[wasm_bindgen]
impl PageShare {
    /// Layers that it has not passed.
    pub fn left(&self) -> usize {
        self.share.left()
    }

    /// Place of the first worker that reads something of this text.
    pub fn first(&self) -> usize {
        self.first
    }
}

fn arrays(earlier: &[Float32Array]) -> Vec<Vec<f32>> {
    earlier.iter().map(Float32Array::to_vec).collect()
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

impl TraitResult {
    fn new(scored: Option<Scored>, utility: Option<f64>) -> Self {
        let calibrated = scored.and_then(|scored| scored.calibrated);
        Self {
            score: scored.map(|scored| scored.score),
            grade: scored.and_then(|scored| scored.grade),
            calibrated: calibrated.map(|calibrated| calibrated.score),
            calibrated_grade: calibrated.and_then(|calibrated| calibrated.grade),
            interval: scored.and_then(|scored| scored.interval),
            utility,
            nearest: Vec::new(),
        }
    }
}

//! What is known of documents before anybody judges them, from a scorer or a backbone.

use anyhow::{Result, anyhow};
use pair2score_data::judgements::Features;
use pair2score_data::{Document, PromptTemplate};
use pair2score_model::Kernels;
use pair2score_scorer::Scorer;
use pair2score_train::Progress;

use crate::args::KnownArgs;
use crate::progress::Terminal;
use crate::prompts;

impl KnownArgs {
    /// Loads the scorer that reads the documents, if one is named. A backbone becomes a scorer without heads: it embeds
    /// documents and scores none.
    pub(crate) fn open<B: Kernels>(&self, device: &B::Device) -> Result<Option<Scorer<B>>> {
        self.reading.check(self.scorer.as_deref())?;
        match (&self.scorer, &self.backbone) {
            (Some(folder), _) => Ok(Some(Scorer::load(folder, device)?)),
            (None, Some(folder)) => {
                Ok(Some(Scorer::of_backbone(folder, self.reading.max_length(), self.reading.layers, device)?))
            }
            (None, None) => Ok(None),
        }
    }

    /// As [`open`](Self::open), for documents that come with prompts or without. A scorer reads them as it was trained to,
    /// a backbone reads each prompt before its text; what is made of either keeps to that.
    pub(crate) fn load<B: Kernels>(&self, prompts: bool, device: &B::Device) -> Result<Option<Scorer<B>>> {
        let mut scorer = self.open(device)?;
        match (&mut scorer, &self.scorer) {
            (Some(scorer), Some(folder)) => {
                prompts::check(folder, &scorer.settings, prompts, "--prompt-col")?;
            }
            (Some(of_backbone), None) => {
                of_backbone.settings.prompt_template = prompts.then(PromptTemplate::default);
            }
            (None, _) => {}
        }
        Ok(scorer)
    }

    /// Reads the documents with the scorer that was loaded, if there is one. Of a scorer of several traits, what it says of
    /// the one that judges are asked about counts.
    pub(crate) fn features<B: Kernels>(
        &self,
        scorer: Option<&Scorer<B>>,
        documents: &[&Document],
        target: Option<&str>,
    ) -> Result<Features> {
        let Some(scorer) = scorer else { return Ok(Features::none(documents.len())) };
        let template = scorer.settings.prompt_template.as_ref();
        let said = scorer.says_something().then(|| self.place(scorer, target)).transpose()?;
        let said = said.map(|place| (place, scorer.settings.traits.len()));
        let encoded = documents
            .iter()
            .map(|document| scorer.text_encoder.passage(document, template))
            .collect::<Result<Vec<_>, _>>()?;
        let mut kept = self.cache.open().map(|cache| scorer.open_cache(&cache)).transpose()?;
        let mut progress = Terminal::quiet();
        progress.begin("embed", documents.len());
        let values = match &mut kept {
            Some(kept) => scorer.embed_and_say_cached(&encoded, kept, |done| progress.advance(done)),
            None => scorer.embed_and_say(&encoded, |done| progress.advance(done)),
        };
        let values = values.map_err(|error| error.of_document(|place| documents[place].id.clone()))?;
        progress.end();
        Ok(Features::of_rows(documents.len(), &values, said)?)
    }

    /// The place, among the traits of a scorer, of the one that is named for it, or that judges are asked about.
    pub(crate) fn place<B: Kernels>(&self, scorer: &Scorer<B>, judged: Option<&str>) -> Result<usize> {
        let folder = self.folder().map_or_else(String::new, |folder| folder.display().to_string());
        let settings = &scorer.settings;
        let place = match self.scorer_trait.as_deref() {
            Some(named) => settings
                .place_named(named)
                .map_err(|problem| format!("{problem}; name one of these with --scorer-trait")),
            None => settings.place_of(judged).map_err(|problem| match settings.traits.len() {
                1 => problem,
                _ => format!("{problem}, or with --scorer-trait where judges call it otherwise"),
            }),
        };
        place.map_err(|problem| anyhow!("{folder}: {problem}"))
    }
}

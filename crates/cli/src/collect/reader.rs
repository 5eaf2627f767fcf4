//! What reads the documents of a collection before anybody judges them: a scorer, a backbone, or nothing.

use anyhow::{Result, bail};
use pair2score_data::Document;
use pair2score_data::judgements::Features;
use pair2score_train::TrainBackend;

use crate::args::KnownArgs;
use crate::device::{Device, DeviceChoice, OnDevice};

/// What reads documents, and where it computes.
pub(crate) struct Reader {
    pub(crate) known: KnownArgs,
    pub(crate) device: Option<DeviceChoice>,
}

impl Reader {
    /// Whether anything reads them.
    pub(super) fn reads(&self) -> bool {
        self.known.folder().is_some()
    }

    /// What is known of the documents; `target` is what judges are asked about.
    pub(super) fn read(self, documents: Vec<Document>, target: Option<String>) -> Result<Features> {
        let device = Device::choose(self.device, None)?;
        device.run(Reading { known: self.known, documents, target })
    }
}

struct Reading {
    known: KnownArgs,
    documents: Vec<Document>,
    target: Option<String>,
}

impl OnDevice for Reading {
    type Output = Features;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Features> {
        let documents: Vec<&Document> = self.documents.iter().collect();
        let scorer = self.known.open::<B::InnerBackend>(device)?;
        if scorer.as_ref().is_some_and(|scorer| scorer.settings.prompt_template.is_some()) {
            bail!(
                "--scorer reads the prompt of a text with it, and judges are shown texts alone; give a scorer of texts, or --backbone"
            );
        }
        self.known.features(scorer.as_ref(), &documents, self.target.as_deref())
    }
}

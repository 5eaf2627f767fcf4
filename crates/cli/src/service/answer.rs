//! What is answered: the outputs of an entry as a client reads them.

use std::collections::BTreeMap;

use pair2score_scorer::{Comparison, Encoded, Scored};
use serde::Serialize;

use super::ask::Task;
use super::job::{Failure, Output, Reply};
use super::problem::Problem;
use super::scorers::Served;

/// The result of an entry.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Scored {
        scores: Scores,
        #[serde(flatten)]
        length: Length,
    },
    Compared {
        /// Where stage 1 was trained.
        comparisons: Option<BTreeMap<String, Compared>>,
        texts: Vec<Text>,
    },
    Embedded {
        embedding: Vec<f32>,
        #[serde(flatten)]
        length: Length,
    },
    Refused {
        error: Problem,
    },
}

impl Answer {
    /// Nothing was computed, through no fault of the entry.
    fn failed() -> Self {
        Self::Refused { error: Problem::new(Problem::FAILED, "the device failed; try again") }
    }

    /// Why there is no result.
    pub(super) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { error } => Some(error),
            _ => None,
        }
    }
}

/// By trait.
type Scores = BTreeMap<String, Score>;

#[derive(Debug, Serialize)]
pub(super) struct Score {
    /// As stage 2 gives it.
    score: f64,
    /// The nearest grade; `None` on a continuous scale.
    grade: Option<f64>,
    /// Both as documents that did not decide them correct them, where the scorer holds a calibration.
    calibrated: Option<Calibrated>,
    /// The labels that people are likely to give, where the scorer holds intervals.
    interval: Option<Interval>,
}

#[derive(Debug, Serialize)]
struct Calibrated {
    score: f64,
    grade: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Interval {
    low: f64,
    high: f64,
}

/// Two texts in one trait.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    /// Stage-1 utilities of both.
    utilities: [f64; 2],
    /// Utility of the first minus that of the second.
    logit: f64,
    /// Probability that the first is better.
    preference: f64,
}

/// One of two texts that are compared.
#[derive(Debug, Serialize)]
pub(super) struct Text {
    /// Where stage 2 was trained.
    scores: Option<Scores>,
    #[serde(flatten)]
    length: Length,
}

/// How much of a text was read.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Length {
    /// Tokens of the text; of one many times longer than is read, at least so many.
    tokens: usize,
    tokens_read: usize,
    truncated: bool,
}

impl Length {
    fn of(document: &Encoded) -> Self {
        Self {
            tokens: document.full_length,
            tokens_read: document.ids.len(),
            truncated: document.truncated(),
        }
    }
}

/// An entry on its way to its answer.
pub(super) enum Pending {
    Refused(Problem),
    Waiting {
        /// Of each text.
        lengths: Vec<Length>,
        /// Of each pass, those of each text.
        replies: Vec<Reply>,
    },
}

impl Pending {
    /// An entry whose texts are computed.
    pub(super) fn waiting(documents: &[Encoded], replies: Vec<Reply>) -> Self {
        Self::Waiting { lengths: documents.iter().map(Length::of).collect(), replies }
    }

    /// The answer, once all outputs are there.
    pub(super) async fn answer(self, task: Task, scorer: &Served) -> Answer {
        let (lengths, replies) = match self {
            Self::Refused(error) => return Answer::Refused { error },
            Self::Waiting { lengths, replies } => (lengths, replies),
        };
        match Outputs::wait(replies).await {
            Ok(outputs) => outputs.answer(task, scorer, lengths),
            Err(Failure::Device) => Answer::failed(),
            Err(Failure::NotFinite) => {
                let message = "what the scorer computes of the text is no finite number, so there is no result; hold \
                               its weights in f32";
                Answer::Refused { error: Problem::new("not_finite", message) }
            }
        }
    }
}

/// The outputs of an entry's texts.
#[derive(Default)]
struct Outputs {
    scores: Vec<Vec<Scored>>,
    utilities: Vec<Vec<f64>>,
    embeddings: Vec<Vec<f32>>,
}

impl Outputs {
    async fn wait(replies: Vec<Reply>) -> Result<Self, Failure> {
        let mut outputs = Self::default();
        for reply in replies {
            // A computing thread that is gone gives no reply.
            match reply.await.unwrap_or(Err(Failure::Device))? {
                Output::Score(score) => outputs.scores.push(score),
                Output::Utility(utility) => outputs.utilities.push(utility),
                Output::Embedding(embedding) => outputs.embeddings.push(embedding),
            }
        }
        Ok(outputs)
    }

    fn answer(self, task: Task, scorer: &Served, lengths: Vec<Length>) -> Answer {
        let mut scores = self.scores.iter().map(|scored| by_trait(scorer, scored));
        match (task, lengths.first().copied()) {
            (Task::Compare, _) => {
                let text = |length| Text { scores: scores.next(), length };
                let texts = lengths.into_iter().map(text).collect();
                let comparisons = match &self.utilities[..] {
                    [a, b] => Some(compared(scorer, a, b)),
                    _ => None,
                };
                Answer::Compared { comparisons, texts }
            }
            (Task::Score, Some(length)) => {
                scores.next().map_or_else(Answer::failed, |scores| Answer::Scored { scores, length })
            }
            (Task::Embed, Some(length)) => {
                let embedding = self.embeddings.into_iter().next();
                embedding.map_or_else(Answer::failed, |embedding| Answer::Embedded { embedding, length })
            }
            (_, None) => Answer::failed(),
        }
    }
}

fn by_trait(scorer: &Served, scored: &[Scored]) -> Scores {
    let score = |scored: &Scored| {
        let calibrated = scored.calibrated.map(|c| Calibrated { score: c.score, grade: c.grade });
        let interval = scored.interval.map(|[low, high]| Interval { low, high });
        Score { score: scored.score, grade: scored.grade, calibrated, interval }
    };
    names(scorer).zip(scored.iter().map(score)).collect()
}

/// The utilities of two texts in each trait, and what they say together.
fn compared(scorer: &Served, a: &[f64], b: &[f64]) -> BTreeMap<String, Compared> {
    let compared = |(name, (&a, &b)): (String, (&f64, &f64))| {
        let comparison = Comparison { utilities: Some([a, b]), scores: None };
        let (logit, preference) = (comparison.logit()?, comparison.preference()?);
        Some((name, Compared { utilities: [a, b], logit, preference }))
    };
    names(scorer).zip(a.iter().zip(b)).filter_map(compared).collect()
}

/// Names of the traits, in their order.
fn names(scorer: &Served) -> impl Iterator<Item = String> {
    scorer.about.traits.iter().map(|of| of.name.clone())
}

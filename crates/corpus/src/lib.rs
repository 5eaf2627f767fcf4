//! A synthetic corpus of short learner-like essays with three scores, for demonstrations and end-to-end tests.
//!
//! Real rated essays may not be passed on, so the demonstration makes its own. Each essay has three latent
//! levels, and every level steers one stage of the writing and no other:
//!
//! | Level | Stage | What it steers |
//! |---|---|---|
//! | vocabulary | `wording` | tier of each synonym, vague words, repetition |
//! | syntax | `frames` | how two clauses are joined: side by side, subordinate, or reduced and reordered |
//! | grammar | `errors` | how often a correct word is replaced by a learner's error |
//!
//! The published score is the level rounded to the half point, so the labels are right by construction; the
//! noise a scorer meets comes from drawing the words. The cost: the texts show what scoring does, and say
//! nothing about how well it works on real learners.
//!
//! The same seed gives the same bytes on every platform: all draws are integers from [`pair2score_data::rng`].

mod errors;
mod essay;
mod frames;
mod levels;
mod lexicon;
mod misspellings;
mod morphology;
mod names;
mod raters;
mod token;
mod topics;
mod wording;

#[cfg(test)]
mod tests;

use levels::Levels;
use pair2score_data::rng;

pub use raters::judge;

/// The seed of the corpus in the repository.
pub const SEED: u64 = 20_260_502;

/// The seed of texts meant for language-model pretraining, which must not repeat the scored ones.
pub const UNLABELLED_SEED: u64 = SEED + 1;

/// Number of essays of the corpus in the repository.
pub const ESSAYS: usize = 1600;

/// Judgements that train, of the pairs in the repository.
pub const JUDGEMENTS: usize = 1500;

/// The header of [`to_csv`].
pub const COLUMNS: [&str; 6] = ["text_id", "full_text", "grammar", "vocabulary", "syntax", "fold"];

/// One essay with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Essay {
    /// Unique within one call of [`generate`]: `demo-0001` and so on.
    pub id: String,
    /// 45 to 120 words, one paragraph.
    pub text: String,
    /// 1.0 to 5.0 in steps of 0.5; 5.0 is free of errors.
    pub grammar: f64,
    /// 1.0 to 5.0 in steps of 0.5.
    pub vocabulary: f64,
    /// 1.0 to 5.0 in steps of 0.5.
    pub syntax: f64,
    /// `'A'` to `'E'`, equally many of each, stratified by the mean of the scores.
    pub fold: char,
}

/// `n` essays drawn from `seed`. Text and scores of an essay depend on its place only; its fold also on `n`.
pub fn generate(seed: u64, n: usize) -> Vec<Essay> {
    let drawn: Vec<(Levels, String)> = (0..n)
        .map(|place| {
            let place = place.to_string();
            let levels = Levels::draw(&mut rng::stream(seed, &["demo", "levels", &place]));
            (levels, essay::write(levels, seed, &place))
        })
        .collect();
    let levels: Vec<Levels> = drawn.iter().map(|(levels, _)| *levels).collect();
    let folds = levels::folds(&levels, &mut rng::stream(seed, &["demo", "folds"]));
    drawn
        .into_iter()
        .zip(folds)
        .enumerate()
        .map(|(place, ((levels, text), fold))| Essay {
            id: format!("demo-{:04}", place + 1),
            text,
            grammar: levels::score(levels.grammar),
            vocabulary: levels::score(levels.vocabulary),
            syntax: levels::score(levels.syntax),
            fold,
        })
        .collect()
}

/// The essays as CSV with the header [`COLUMNS`]; scores are written like `3.5`.
pub fn to_csv(essays: &[Essay]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing six fields each time to a vector cannot fail: it neither fills up nor closes.
    let mut record = |fields: [&str; 6]| writer.write_record(fields).unwrap_or_default();
    record(COLUMNS);
    for essay in essays {
        let [grammar, vocabulary, syntax] =
            [essay.grammar, essay.vocabulary, essay.syntax].map(|score| format!("{score:.1}"));
        record([&essay.id, &essay.text, &grammar, &vocabulary, &syntax, &essay.fold.to_string()]);
    }
    writer.into_inner().unwrap_or_default()
}

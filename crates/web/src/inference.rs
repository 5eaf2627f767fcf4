//! What judgements, texts and the grades of some documents say of all documents of a project.

use pair2score_data::judgements::{
    Comparisons, DocumentStats, Features, Inferred, Prospect, check_anchors, infer as infer_all, left_out,
    posterior, posterior_reliability,
};
use pair2score_data::{Result as DataResult, ScoreScale};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::error::data_failure as failure;
use crate::features::DocumentFeatures;
use crate::judgements::log_or_empty;
use crate::value;

/// What to infer from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    /// JSONL.
    log: String,
    /// The ids, in the order of the features.
    documents: Vec<String>,
    /// Documents by their places, with their grades.
    grades: Vec<(usize, f64)>,
    scale: ScoreScale,
}

impl Input {
    /// What follows, with the judgements as numbers; with scores where there are grades enough.
    fn infer(self, features: &Features) -> DataResult<(Inferred, Comparisons)> {
        self.scale.validate()?;
        let comparisons = Comparisons::among_ids(self.documents, &log_or_empty("judgements", &self.log)?)?;
        let anchors = check_anchors(&self.grades).is_ok().then_some((self.grades.as_slice(), self.scale));
        Ok((infer_all(&comparisons, features, anchors, false)?, comparisons))
    }
}

/// What follows for all documents.
#[derive(Debug, Serialize)]
struct Account {
    /// In the order of the ids.
    documents: Vec<Row>,
    #[serde(flatten)]
    prospect: Prospect,
    /// What `told` would be from judgements alone.
    alone: Option<f64>,
    /// Why there are no scores although there are grades.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    stats: DocumentStats,
    score: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    /// See `Posterior::surprises`; `None` where nothing is known beside judgements.
    surprise: Option<f64>,
}

/// Infers what judgements say of all documents, from JSON of `log`, `documents`, `grades` and `scale`.
///
/// # Errors
/// Input that cannot be read, or no fit.
#[wasm_bindgen]
pub fn infer(input: &str, features: &DocumentFeatures) -> Result<JsValue, JsValue> {
    let input: Input = serde_json::from_str(input).map_err(failure)?;
    Ok(value(&account(input, features.get()).map_err(failure)?))
}

/// The same as a table, as `judgements fit` writes it.
///
/// # Errors
/// As [`infer`].
#[wasm_bindgen]
pub fn inferred_csv(input: &str, features: &DocumentFeatures) -> Result<String, JsValue> {
    let input: Input = serde_json::from_str(input).map_err(failure)?;
    Ok(input.infer(features.get()).map_err(failure)?.0.csv())
}

/// Heads that score texts to come, as JSON for `PageScorer.judged`.
///
/// # Errors
/// As [`infer`], and grades that say too little.
#[wasm_bindgen]
pub fn judged_heads(input: &str, features: &DocumentFeatures, target: &str) -> Result<String, JsValue> {
    let input: Input = serde_json::from_str(input).map_err(failure)?;
    check_anchors(&input.grades).map_err(failure)?;
    let (grades, scale) = (input.grades.clone(), input.scale);
    let (inferred, comparisons) = input.infer(features.get()).map_err(failure)?;
    let unseen = left_out(&comparisons, features.get(), (&grades, scale), false).map_err(failure)?;
    let heads = inferred.heads(features.get(), target.to_owned(), unseen);
    Ok(serde_json::to_string(&heads).expect("numbers and names serialise"))
}

fn account(input: Input, features: &Features) -> DataResult<Account> {
    let graded = !input.grades.is_empty();
    let problem = check_anchors(&input.grades).err().filter(|_| graded).map(|error| error.to_string());
    let (inferred, comparisons) = input.infer(features)?;
    let (known, list) = (&inferred.posterior, &comparisons.list);
    let prospect = inferred.prospect(list);
    let alone = match features.is_empty() {
        true => prospect.told,
        false => {
            let alone = posterior(comparisons.documents.len(), list)?;
            let errors = alone.covariance(&Features::none(features.n()), list)?.standard_errors()?;
            posterior_reliability(&alone.fit.utilities, &errors)
        }
    };
    let surprises = match features.is_empty() {
        true => vec![None; features.n()],
        false => known.surprises(features),
    };
    Ok(Account { prospect, alone, problem, documents: rows(&inferred, surprises) })
}

fn rows(inferred: &Inferred, surprises: Vec<Option<f64>>) -> Vec<Row> {
    let documents = inferred.documents.iter().enumerate().zip(surprises);
    let row = |((place, stats), surprise): ((usize, &DocumentStats), Option<f64>)| {
        let score = inferred.scores.as_ref().map(|(_, anchored)| &anchored.scores[place]);
        let [score, low, high] =
            [score.map(|score| score.score), score.map(|score| score.low), score.map(|score| score.high)];
        Row { stats: stats.clone(), score, low, high, surprise: surprise.filter(|_| stats.n > 0) }
    };
    documents.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(grades: &[(usize, f64)]) -> Input {
        let line = |a: &str, b: &str| {
            format!(r#"{{"a":"{a}","b":"{b}","y":1,"judge":"me","trait":"quality","at":"{a}{b}"}}"#)
        };
        let log = [line("z", "y"), line("y", "x"), line("z", "x")].join("\n");
        Input {
            log,
            documents: ["x", "y", "z", "w"].map(str::to_owned).into(),
            grades: grades.to_vec(),
            scale: ScoreScale::default(),
        }
    }

    #[test]
    fn all_documents_have_a_row_and_scores_need_grades() {
        let rows = [0.0, 1.0, 0.5, 1.0, 0.0, 2.5, 2.0, 1.0, 4.0, 1.5, 0.5, 3.0];
        for features in [DocumentFeatures::of(4, &[], false), DocumentFeatures::of(4, &rows, true)] {
            let features = features.unwrap();
            let none = account(input(&[]), features.get()).unwrap();
            assert_eq!((none.documents.len(), none.problem), (4, None));
            assert!(none.documents.iter().all(|row| row.score.is_none()));
            assert!(none.documents[2].stats.utility > none.documents[0].stats.utility);
            assert!(none.prospect.half.unwrap() > 3 && none.prospect.told.unwrap() < 1.0);
            assert_eq!(none.documents[3].surprise, None);
            assert_eq!(none.documents[0].surprise.is_some(), !features.get().is_empty());
            let few = account(input(&[(0, 2.0)]), features.get()).unwrap();
            assert!(few.problem.unwrap().starts_with("1 anchors"));
            let scored = account(input(&[(0, 2.0), (1, 3.0), (2, 4.0)]), features.get()).unwrap();
            assert!(scored.problem.is_none() && scored.documents[3].low < scored.documents[3].high);
            let heads = input(&[(0, 2.0), (1, 3.0), (2, 4.0)]).infer(features.get()).unwrap().0;
            assert!(
                heads.csv().starts_with("id,utility,se,n,wins,ties,losses,infit,score,low,high,grade,p_1")
            );
        }
        let wrong = DocumentFeatures::of(3, &rows[..11], true).err().map(|error| error.to_string());
        assert!(wrong.unwrap().contains("let it read all of them"));
    }
}

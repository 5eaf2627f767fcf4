//! What judgements, texts and the grades of some documents say of all documents of a project.

use pair2score_data::judgements::{
    Comparisons, DocumentStats, Features, Inferred, Prospect, anchor_warning, check_anchors,
    infer as infer_all, left_out, posterior, posterior_reliability,
};
use pair2score_data::{DataError, Result as DataResult, ScoreScale};
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
    fn read(input: &str) -> Result<Self, JsValue> {
        let input: Self = serde_json::from_str(input).map_err(failure)?;
        input.scale.validate().map_err(failure)?;
        Ok(input)
    }

    /// The grades as labels of the scale, where all are on it and say enough for scores.
    fn anchors(&self) -> DataResult<Vec<(usize, f64)>> {
        let label = |&(place, grade): &(usize, f64)| Some((place, self.scale.label(grade)?));
        let off: Vec<&(usize, f64)> = self.grades.iter().filter(|&grade| label(grade).is_none()).collect();
        if let [(place, grade), ..] = off[..] {
            let (id, scale) = (&self.documents[*place], self.scale);
            let are = if off.len() == 1 { "1 grade is".into() } else { format!("{} grades are", off.len()) };
            return Err(DataError::Setting {
                what: format!("{are} not on the scale {scale}, as {grade} of \"{id}\""),
                remedy: "correct the grades, or the scale under Settings".into(),
            });
        }
        let anchors: Vec<(usize, f64)> = self.grades.iter().filter_map(label).collect();
        check_anchors(&anchors)?;
        Ok(anchors)
    }

    /// What follows, with the judgements as numbers; with scores where there are anchors.
    fn infer(
        self,
        features: &Features,
        anchors: Option<&[(usize, f64)]>,
    ) -> DataResult<(Inferred, Comparisons)> {
        let comparisons = Comparisons::among_ids(self.documents, &log_or_empty("judgements", &self.log)?)?;
        let anchors = anchors.map(|anchors| (anchors, self.scale));
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
    /// What to check about the grades; see `anchor_warning`.
    caution: Option<String>,
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
    Ok(value(&account(Input::read(input)?, features.get()).map_err(failure)?))
}

/// The same as a table, as `judgements fit` writes it.
///
/// # Errors
/// As [`infer`].
#[wasm_bindgen]
pub fn inferred_csv(input: &str, features: &DocumentFeatures) -> Result<String, JsValue> {
    let input = Input::read(input)?;
    let anchors = input.anchors().ok();
    Ok(input.infer(features.get(), anchors.as_deref()).map_err(failure)?.0.csv())
}

/// Heads that score texts to come, as JSON for `PageScorer.judged`.
///
/// # Errors
/// As [`infer`], and grades that say too little or are not on the scale.
#[wasm_bindgen]
pub fn judged_heads(input: &str, features: &DocumentFeatures, target: &str) -> Result<String, JsValue> {
    let input = Input::read(input)?;
    let (anchors, scale) = (input.anchors().map_err(failure)?, input.scale);
    let (inferred, comparisons) = input.infer(features.get(), Some(&anchors)).map_err(failure)?;
    let (features, anchors) = (features.get(), (anchors.as_slice(), scale));
    let unseen = left_out(&comparisons, features, anchors, false, |_| ()).map_err(failure)?;
    let heads = inferred.heads(features, target.to_owned(), unseen);
    Ok(serde_json::to_string(&heads).expect("numbers and names serialise"))
}

fn account(input: Input, features: &Features) -> DataResult<Account> {
    let graded = !input.grades.is_empty();
    let (anchors, problem) = match input.anchors() {
        Ok(anchors) => (Some(anchors), None),
        Err(problem) => (None, graded.then(|| problem.to_string())),
    };
    let (inferred, comparisons) = input.infer(features, anchors.as_deref())?;
    let (known, list) = (&inferred.posterior, &comparisons.list);
    // Without judgements there is nothing that grades could contradict.
    let caution =
        anchors.filter(|_| !list.is_empty()).and_then(|anchors| anchor_warning(&known.fit, &anchors));
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
    Ok(Account { prospect, alone, problem, caution, documents: rows(&inferred, surprises) })
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
            assert_eq!(scored.caution, None);
            let graded = input(&[(0, 2.0), (1, 3.0), (2, 4.0)]);
            let anchors = graded.anchors().unwrap();
            let heads = graded.infer(features.get(), Some(&anchors)).unwrap().0;
            assert!(
                heads.csv().starts_with("id,utility,se,n,wins,ties,losses,infit,score,low,high,grade,p_1")
            );
        }
        let wrong = DocumentFeatures::of(3, &rows[..11], true).err().map(|error| error.to_string());
        assert!(wrong.unwrap().contains("let it read all of them"));
    }
    #[test]
    fn grades_off_the_scale_give_no_scores_and_are_named() {
        let none = DocumentFeatures::of(4, &[], false).unwrap();
        let off = account(input(&[(0, 20.0), (1, 3.0), (2, 40.0)]), none.get()).unwrap();
        assert!(off.documents.iter().all(|row| row.score.is_none()));
        let said = "2 grades are not on the scale 1 to 5 by 0.5, as 20 of \"x\"; correct the grades, or the scale \
                    under Settings";
        assert_eq!(off.problem.unwrap(), said);
        let mut grades = input(&[(0, 20.0), (1, 30.0), (2, 40.0)]);
        grades.scale = ScoreScale::continuous(0.0, 100.0);
        assert_eq!(grades.anchors().unwrap(), [(0, 20.0), (1, 30.0), (2, 40.0)]);
    }

    #[test]
    fn grades_that_fall_where_judgements_rise_are_spoken_of() {
        let none = DocumentFeatures::of(4, &[], false).unwrap();
        let turned = account(input(&[(0, 4.0), (1, 3.0), (2, 2.0)]), none.get()).unwrap();
        assert!(
            turned
                .caution
                .unwrap()
                .starts_with("the anchors' grades fall where the judgements rise (correlation -")
        );
        assert!(turned.documents[3].score.is_some());
        let unjudged = Input { log: String::new(), ..input(&[(0, 4.0), (1, 3.0), (2, 2.0)]) };
        assert_eq!(account(unjudged, none.get()).unwrap().caution, None);
    }
}

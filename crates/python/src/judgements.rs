//! What judgements say of documents.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use pair2score_data::ScoreScale;
use pair2score_data::judgements::{Comparisons, Features, JudgementLog, LogDefaults, anchor_warning, infer};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;

use crate::error::{Error, exception};
use crate::scorer::Scorer;

/// Utilities of documents, and scores where there are anchors, as CSV.
///
/// The judgements are those of `files`, or of `entries` in JSONL, which need name neither a trait nor a judge. `ids` are the
/// documents, by default those that were judged. `anchors` are ids with grades on `scale`: lowest, highest, and the distance
/// of grades where there are some.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "each is a keyword of `pair2score.judgements.fit`")]
pub(crate) fn fit(
    py: Python<'_>,
    files: Vec<PathBuf>,
    entries: Option<String>,
    target: Option<String>,
    judge: Option<String>,
    weigh_judges: bool,
    ids: Option<Vec<String>>,
    scorer: Option<&Bound<'_, Scorer>>,
    texts: Option<&Bound<'_, PyAny>>,
    prompts: Option<&Bound<'_, PyAny>>,
    anchors: Vec<(String, f64)>,
    scale: Option<(f64, f64, Option<f64>)>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let stands_in =
        |given: Option<String>, name: &str| given.or_else(|| entries.as_ref().map(|_| name.into()));
    let defaults =
        LogDefaults { target: stands_in(target.clone(), "quality"), judge: stands_in(judge, "anyone") };
    let read = || match entries {
        Some(text) => JudgementLog::parse(Path::new("judgements"), &text, &defaults),
        None => JudgementLog::read(&files, &defaults),
    };
    let log = read().and_then(|log| log.of_trait(target.as_deref())).map_err(exception)?;
    let comparisons = match ids {
        Some(ids) => Comparisons::among_ids(ids, &log).map_err(exception)?,
        None => Comparisons::from(&log),
    };
    let anchors = match scale {
        Some(scale) => Some(anchored(&anchors, scale_of(scale)?, &comparisons.documents)?),
        None => None,
    };
    let features = match (scorer, texts) {
        (Some(scorer), Some(texts)) => {
            scorer.get().features(py, (texts, prompts), target.as_deref(), progress)?
        }
        _ => Features::none(comparisons.documents.len()),
    };
    let anchors = anchors.as_ref().map(|(anchors, scale)| (anchors.as_slice(), *scale));
    let inferred = py.detach(|| infer(&comparisons, &features, anchors, weigh_judges)).map_err(exception)?;
    if let Some(warning) = anchors.and_then(|(anchors, _)| anchor_warning(&inferred.posterior.fit, anchors)) {
        // Level 1 is `pair2score.judgements.fit`, level 2 who calls it.
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &CString::new(warning)?, 2)?;
    }
    Ok(inferred.csv())
}

fn scale_of((min, max, step): (f64, f64, Option<f64>)) -> PyResult<ScoreScale> {
    let scale = match step {
        Some(step) => ScoreScale::graded(min, max, step),
        None => ScoreScale::continuous(min, max),
    };
    scale.validate().map_err(exception)?;
    Ok(scale)
}

/// Anchors by the places of their documents.
type Anchors = Vec<(usize, f64)>;

fn anchored(
    anchors: &[(String, f64)],
    scale: ScoreScale,
    documents: &[String],
) -> PyResult<(Anchors, ScoreScale)> {
    let anchor = |(id, grade): &(String, f64)| {
        let place = documents.iter().position(|document| document == id).ok_or_else(|| {
            Error::new_err(format!("anchors[{id:?}] is about no document; name one of the documents"))
        })?;
        let label = scale.label(*grade).ok_or_else(|| {
            Error::new_err(format!(
                "anchors[{id:?}] is {grade}, which is not on the scale {scale}; correct it, or give the scale"
            ))
        })?;
        Ok((place, label))
    };
    Ok((anchors.iter().map(anchor).collect::<PyResult<_>>()?, scale))
}

//! The class `Scorer`.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pair2score_cli::Device;
use pair2score_data::judgements::Features;
use pair2score_data::{PromptMismatch, ScoreScale};
use pair2score_scorer::{self as ours, Near, Scored, ScorerError};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::device::{AnyScorer, Asked, GoOn, Load, Read, choice};
use crate::error::{Error, exception};
use crate::listener::Listener;
use crate::propose::{Judged, Wanted};
use crate::texts;

pyo3::create_exception!(
    pair2score,
    TruncationWarning,
    PyUserWarning,
    "Some texts are longer than the scorer reads; what is beyond was not read."
);

/// Texts and their prompts, as Python has them.
pub(crate) type Given<'a, 'py> = (&'a Bound<'py, PyAny>, Option<&'a Bound<'py, PyAny>>);

/// A loaded scorer. Make one with `Scorer.load`.
#[pyclass(module = "pair2score", frozen)]
pub(crate) struct Scorer {
    folder: PathBuf,
    inner: Box<dyn AnyScorer>,
}

/// Which of two texts is better in one trait.
#[pyclass(module = "pair2score", frozen, get_all)]
pub(crate) struct Comparison {
    /// Stage-1 utilities of both, where stage 1 was trained.
    utilities: Option<(f64, f64)>,
    /// Utility of the first minus that of the second, where stage 1 was trained.
    logit: Option<f64>,
    /// Probability that the first is better, where stage 1 was trained.
    preference: Option<f64>,
    /// Scores of both, where stage 2 was trained.
    scores: Option<(f64, f64)>,
}

#[pymethods]
impl Comparison {
    fn __repr__(&self) -> String {
        let number = |number: Option<f64>| number.map_or_else(|| "None".into(), |number| number.to_string());
        let pair =
            |pair: Option<(f64, f64)>| pair.map_or_else(|| "None".into(), |(a, b)| format!("({a}, {b})"));
        format!(
            "Comparison(utilities={}, logit={}, preference={}, scores={})",
            pair(self.utilities),
            number(self.logit),
            number(self.preference),
            pair(self.scores)
        )
    }
}

impl From<ours::Comparison> for Comparison {
    fn from(comparison: ours::Comparison) -> Self {
        Self {
            utilities: comparison.utilities.map(Into::into),
            logit: comparison.logit(),
            preference: comparison.preference(),
            scores: comparison.scores.map(|[a, b]| (a.score, b.score)),
        }
    }
}

#[pymethods]
impl Scorer {
    /// Loads a scorer.
    ///
    /// `folder` is a run's checkpoint folder, an exported folder or a site; `device` is "cpu", "cuda", "cuda:N" or
    /// "wgpu", by default the first card of NVIDIA where there is one; `quantize="q8"` computes with projections in 8
    /// bits. `cache` is a folder where embeddings are kept by content, as `--cache` keeps them, so that no text is read
    /// twice.
    #[staticmethod]
    #[pyo3(signature = (folder, *, device = None, quantize = None, cache = None))]
    fn load(
        py: Python<'_>,
        folder: PathBuf,
        device: Option<&str>,
        quantize: Option<&str>,
        cache: Option<PathBuf>,
    ) -> PyResult<Self> {
        let choice = choice(device)?;
        let packed = match quantize {
            None => false,
            Some("q8") => true,
            Some(other) => {
                return Err(Error::new_err(format!("quantize {other:?} is not known; give \"q8\" or None")));
            }
        };
        let load = Load { folder: folder.clone(), packed, cache };
        let inner = py.detach(|| Device::choose(choice, None)?.run(load)).map_err(exception)?;
        Ok(Self { folder, inner })
    }

    /// Names of what is rated, in the order of the scorer.
    #[getter]
    fn traits(&self) -> Vec<&str> {
        self.inner.traits().into_iter().map(|(name, _)| name).collect()
    }

    /// What a score can be, by trait: `min`, `max` and, on a scale of grades, `step`.
    #[getter]
    fn scales<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let scales = PyDict::new(py);
        for (name, scale) in self.inner.traits() {
            let entry = PyDict::new(py);
            entry.set_item("min", scale.min())?;
            entry.set_item("max", scale.max())?;
            if let ScoreScale::Graded(grades) = scale {
                entry.set_item("step", grades.step)?;
            }
            scales.set_item(name, entry)?;
        }
        Ok(scales)
    }

    /// How the prompt of a text is read with it, such as "{prompt}\n\n{text}"; None of a scorer that reads texts alone.
    #[getter]
    fn prompt_template(&self) -> Option<String> {
        self.inner.template().map(ToString::to_string)
    }

    /// Longest text read, in tokens.
    #[getter]
    fn max_length(&self) -> usize {
        self.inner.max_length()
    }

    /// Width of an embedding.
    #[getter]
    fn width(&self) -> usize {
        self.inner.width()
    }

    /// Whether stage 2 was trained, which gives scores.
    #[getter]
    fn can_score(&self) -> bool {
        self.inner.can_score()
    }

    /// Whether stage 1 was trained, which gives utilities.
    #[getter]
    fn can_rank(&self) -> bool {
        self.inner.can_rank()
    }

    /// Scores of texts, `[n]` float64; of a scorer of several traits, a dict of such arrays.
    ///
    /// `prompts` are what the texts answer, where the scorer reads prompts: one string for all, or one for each.
    #[pyo3(signature = (texts, *, prompts = None, calibrated = false, progress = None))]
    fn score<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompts: Option<&Bound<'py, PyAny>>,
        calibrated: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rows = self.rows(py, (texts, prompts), calibrated, progress)?;
        let scores = |place: usize| rows.iter().map(|row| row[place].score).collect();
        self.by_trait(py, |place| Ok(PyArray1::from_vec(py, scores(place)).into_any()))
    }

    /// The nearest grade of each text, `[n]` float64; of a scorer of several traits, a dict of such arrays.
    #[pyo3(signature = (texts, *, prompts = None, calibrated = false, progress = None))]
    fn grades<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompts: Option<&Bound<'py, PyAny>>,
        calibrated: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let continuous = self.inner.traits().into_iter().find(|(_, scale)| scale.grades().is_none());
        if let Some((name, _)) = continuous {
            return Err(
                self.refuse(&format!("the scale of {name} is continuous and has no grades; use score"))
            );
        }
        let rows = self.rows(py, (texts, prompts), calibrated, progress)?;
        let grades = |place: usize| rows.iter().filter_map(|row| row[place].grade).collect();
        self.by_trait(py, |place| Ok(PyArray1::from_vec(py, grades(place)).into_any()))
    }

    /// The lowest and the highest label that people are likely to give each text, `[n, 2]` float64; of a scorer of several
    /// traits, a dict of such arrays.
    #[pyo3(signature = (texts, *, prompts = None, progress = None))]
    fn intervals<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompts: Option<&Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.inner.check_scores(&self.folder).map_err(exception)?;
        if let Some(name) = self.inner.without_intervals() {
            return Err(self.refuse(&format!(
                "holds no intervals of {name}; use score, or train stage 2 again, which writes them"
            )));
        }
        let rows = self.rows(py, (texts, prompts), false, progress)?;
        let ends = |place: usize| rows.iter().filter_map(|row| row[place].interval).flatten().collect();
        self.by_trait(py, |place| {
            Ok(PyArray1::from_vec(py, ends(place)).reshape([rows.len(), 2])?.into_any())
        })
    }

    /// Compares two texts: a `Comparison`; of a scorer of several traits, a dict of them.
    ///
    /// `prompt` is what both answer, where the scorer reads prompts.
    #[pyo3(signature = (a, b, *, prompt = None))]
    fn compare<'py>(
        &self,
        py: Python<'py>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
        prompt: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.check_prompts(prompt.is_some(), "prompt")?;
        let prompt: Arc<str> =
            prompt.map(|given| texts::string(given, "prompt")).transpose()?.unwrap_or_default().into();
        let pair = [(prompt.clone(), texts::text(a, "a")?), (prompt, texts::text(b, "b")?)];
        let compared = py.detach(|| self.inner.compare(&pair));
        let name = |side: usize| ["a", "b"][side].to_owned();
        let Read { values, cut } = compared.map_err(|error| exception(error.of_document(name)))?;
        self.warn_of_cut(py, cut.iter().map(|&side| name(side)))?;
        let mut comparisons = values.into_iter().map(Comparison::from);
        match &self.inner.traits()[..] {
            [_] => Ok(Bound::new(py, comparisons.next().expect("one trait has a comparison"))?.into_any()),
            traits => {
                let by_trait = PyDict::new(py);
                for ((name, _), comparison) in traits.iter().zip(comparisons) {
                    by_trait.set_item(name, Bound::new(py, comparison)?)?;
                }
                Ok(by_trait.into_any())
            }
        }
    }

    /// Embeddings of texts, `[n, width]` float32: what the heads of stage 2 read, or those of stage 1 where stage 2 was not
    /// trained.
    #[pyo3(signature = (texts, *, prompts = None, progress = None))]
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        prompts: Option<&Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows =
            self.read(py, (texts, prompts), progress, |texts, go_on| self.inner.embed(texts, go_on))?;
        PyArray1::from_vec(py, rows.concat()).reshape([rows.len(), self.inner.width()])
    }

    /// The graded documents that resemble each text most, the nearest first: a list for each text, of a scorer of several
    /// traits a dict of such lists. A document is a dict of `id`, `label`, `similarity` (the cosine of the standardised
    /// embeddings, -1 to 1) and `text`, which is None unless training was asked to keep it.
    #[pyo3(signature = (texts, n = 3, *, prompts = None, progress = None))]
    fn nearest<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        n: usize,
        prompts: Option<&Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.inner.anchors().is_empty() {
            return Err(self.refuse("remembers no graded documents; train stage 2 again, which chooses them"));
        }
        let rows =
            self.read(py, (texts, prompts), progress, |texts, go_on| self.inner.nearest(texts, n, go_on))?;
        self.by_trait(py, |place| {
            let of_text = |row: &Vec<Vec<Near>>| self.documents(py, &row[place], place);
            let lists = rows.iter().map(of_text).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, lists)?.into_any())
        })
    }

    /// Pairs of texts whose judgement is expected to tell most: places, `[pairs, 2]` int64, the one to show on the left
    /// first.
    ///
    /// `judged` are judgements so far: the places of two texts, and 1 where the first is better, 0 where the second is,
    /// 0.5 for a tie. `trait_` is what is judged, of a scorer of several traits.
    #[pyo3(signature = (texts, n, *, prompts = None, judged = Vec::new(), trait_ = None, seed = 36, random_share = 0.1, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "most are keywords")]
    fn pairs<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        n: usize,
        prompts: Option<&Bound<'py, PyAny>>,
        judged: Vec<Judged>,
        trait_: Option<&str>,
        seed: u64,
        random_share: f64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let features = self.features(py, (texts, prompts), trait_, progress)?;
        let showings = Wanted { n, judged, seed, random_share }.choose(py, &features)?;
        let places = showings.iter().flat_map(|showing| [showing.left as i64, showing.right as i64]);
        PyArray1::from_vec(py, places.collect()).reshape([showings.len(), 2])
    }

    fn __repr__(&self) -> String {
        format!("Scorer({:?}, traits={:?})", self.folder, self.traits())
    }
}

impl Scorer {
    /// What the scorer tells of texts, in the trait that is judged.
    pub(crate) fn features(
        &self,
        py: Python<'_>,
        given: Given<'_, '_>,
        target: Option<&str>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Features> {
        let texts = self.asked(given)?;
        let place = self.inner.place_of(target).map_err(|problem| self.refuse(&problem))?;
        let mut listener = Listener::new(progress, texts.len());
        let features = py.detach(|| self.inner.features(&texts, place, &mut |done| listener.hear(done)));
        let (features, cut) = listener.result(features)?;
        self.warn_of_cut(py, cut.iter().map(|place| format!("texts[{place}]")))?;
        Ok(features)
    }

    /// Texts with their prompts.
    fn asked(&self, (texts, prompts): Given<'_, '_>) -> PyResult<Vec<Asked>> {
        let texts = texts::column(texts)?;
        self.check_prompts(prompts.is_some(), "prompts")?;
        let prompts = match prompts {
            Some(prompts) => texts::prompts(prompts, texts.len())?,
            None => vec![Arc::default(); texts.len()],
        };
        Ok(prompts.into_iter().zip(texts).collect())
    }

    /// Refuses texts without prompts where the scorer reads these, and prompts where it does not; `name` is the keyword.
    fn check_prompts(&self, given: bool, name: &str) -> PyResult<()> {
        let template = self.inner.template();
        PromptMismatch::check(template, given).map_err(|mismatch| match mismatch {
            PromptMismatch::Missing => {
                let template = template.map_or_else(String::new, ToString::to_string);
                self.refuse(&format!("reads the prompt of a text with it, as {template:?}; give {name}="))
            }
            PromptMismatch::Needless => {
                self.refuse(&format!("reads texts without prompts; leave out {name}="))
            }
        })
    }

    /// What is scored of each text in each trait.
    fn rows(
        &self,
        py: Python<'_>,
        given: Given<'_, '_>,
        calibrated: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Vec<Scored>>> {
        self.inner.check_scores(&self.folder).map_err(exception)?;
        if let Some(name) = self.inner.uncalibrated().filter(|_| calibrated) {
            return Err(self.refuse(&format!(
                "holds no calibration of {name}; leave out calibrated=True, or train with stage2_absolute.calibration"
            )));
        }
        let mut rows = self.read(py, given, progress, |texts, go_on| self.inner.score(texts, go_on))?;
        if calibrated {
            rows.iter_mut().flatten().for_each(|scored| *scored = scored.by_calibration());
        }
        Ok(rows)
    }

    /// Runs something on texts while Python may do other things.
    fn read<T: Send>(
        &self,
        py: Python<'_>,
        given: Given<'_, '_>,
        progress: Option<Py<PyAny>>,
        run: impl FnOnce(&[Asked], &mut GoOn<'_>) -> Result<Read<T>, ScorerError> + Send,
    ) -> PyResult<Vec<T>> {
        let texts = self.asked(given)?;
        let mut listener = Listener::new(progress, texts.len());
        let result = py.detach(|| run(&texts, &mut |done| listener.hear(done)));
        let Read { values, cut } = listener.result(result)?;
        self.warn_of_cut(py, cut.iter().map(|place| format!("texts[{place}]")))?;
        Ok(values)
    }

    /// Graded documents as Python reads them.
    fn documents<'py>(&self, py: Python<'py>, near: &[Near], place: usize) -> PyResult<Bound<'py, PyList>> {
        let document = |&Near { anchor, similarity }: &Near| {
            let of = &self.inner.anchors()[anchor];
            let entry = PyDict::new(py);
            entry.set_item("id", &of.id)?;
            entry.set_item("label", of.labels[place])?;
            entry.set_item("similarity", similarity)?;
            entry.set_item("text", of.text.as_deref())?;
            Ok(entry)
        };
        PyList::new(py, near.iter().map(document).collect::<PyResult<Vec<_>>>()?)
    }

    /// An array; of a scorer of several traits, one for each.
    fn by_trait<'py>(
        &self,
        py: Python<'py>,
        array: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let traits = self.inner.traits();
        if traits.len() == 1 {
            return array(0);
        }
        let by_trait = PyDict::new(py);
        for (place, (name, _)) in traits.into_iter().enumerate() {
            by_trait.set_item(PyString::new(py, name), array(place)?)?;
        }
        Ok(by_trait.into_any())
    }

    /// Warns of texts that are longer than what is read.
    fn warn_of_cut(&self, py: Python<'_>, mut names: impl ExactSizeIterator<Item = String>) -> PyResult<()> {
        let n = names.len();
        let Some(first) = names.next() else { return Ok(()) };
        let others = if n > 1 { format!(" and {} more are", n - 1) } else { " is".into() };
        let most = self.inner.max_length();
        let message =
            format!("{first}{others} longer than the {most} tokens that the scorer reads, and cut there");
        let category = py.get_type::<TruncationWarning>();
        PyErr::warn(py, &category, &CString::new(message)?, 1)
    }

    /// The exception of something that this scorer cannot do.
    fn refuse(&self, problem: &str) -> PyErr {
        Error::new_err(format!("{}: {problem}", self.folder.display()))
    }
}

//! `README.md` of an export: the model card. What is not known is said to be unknown, never guessed.

mod fitted;

use std::fmt::Write as _;
use std::path::Path;

use burn::tensor::backend::Backend;
use pair2score_data::files::{read_text, write_atomic};
use pair2score_data::{Grades, Interval, PromptTemplate, ScoreScale};
use pair2score_model::Pooling;
use pair2score_scorer::{Anchors, ScorerSettings, TraitSettings};

use crate::{Difference, ExportError, Format, Options, Report, Source};

/// What stage 2, else stage 1, wrote about its run.
const RUN_INFO: [&str; 2] = ["absolute_run_info.txt", "relative_run_info.txt"];

/// `key: value` lines of a run.
#[derive(Debug, Default)]
struct RunInfo(Vec<(String, String)>);

impl RunInfo {
    /// The run behind a scorer's folder; empty where there is none. Only the last part of a path stays: an export is
    /// passed on, and where the files of its maker lie is nobody's business.
    fn read(folder: &Path) -> Result<(&'static str, Self), ExportError> {
        let Some(name) = RUN_INFO.into_iter().find(|name| folder.join(name).is_file()) else {
            return Ok((RUN_INFO[0], Self::default()));
        };
        let text = read_text(folder.join(name))?;
        let entry = |line: &str| {
            let (key, value) = line.split_once(": ")?;
            let value = match key {
                "backbone" | "pairs_file" => value.rsplit(['/', '\\']).next()?,
                _ => value,
            };
            Some((key.to_owned(), value.to_owned()))
        };
        Ok((name, Self(text.lines().filter_map(entry).collect())))
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }
}

/// Copies what the run said about itself, without its paths, so that an export can be exported again.
pub(crate) fn write_run_info(from: &Path, folder: &Path) -> Result<(), ExportError> {
    let (name, info) = RunInfo::read(from)?;
    if info.0.is_empty() {
        return Ok(());
    }
    let text: String = info.0.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    Ok(write_atomic(folder.join(name), text.as_bytes())?)
}

/// Everything a card says that is known before the numbers are checked.
#[derive(Debug)]
pub(crate) struct Card {
    target: String,
    base_model: Option<String>,
    /// `license`, `license_name` and `license_link` of the backbone's own card.
    licence: Vec<(String, String)>,
    facts: Vec<(&'static str, String)>,
    info: RunInfo,
    max_length: usize,
    /// Where `transformers.AutoModel` gives the hidden states that the heads read.
    hidden_states: String,
    prompt_template: Option<PromptTemplate>,
    traits: Vec<TraitSettings>,
    anchors: Option<Anchors>,
}

impl Card {
    pub(crate) fn new<B: Backend>(source: &Source<B>) -> Result<Self, ExportError> {
        let settings = &source.scorer.settings;
        let (_, info) = RunInfo::read(&source.folder)?;
        let backbone = source.folder.join(&settings.backbone);
        let folder_name = settings.backbone.file_name().map(|name| name.to_string_lossy().into_owned());
        let base_model = info.get("backbone").map(str::to_owned).or(folder_name);
        let known = |value: Option<&str>| value.unwrap_or("not recorded").to_owned();
        let facts = vec![
            ("Trait", of_traits(settings, |of| of.target.clone())),
            ("Scale", of_traits(settings, |of| scale_text(&of.scale))),
            ("Base model", known(base_model.as_deref())),
            ("Stages", stages(settings.relative.is_some(), settings.score.as_ref().map(|s| s.fusion)).into()),
            ("Transfer", known(info.get("transfer"))),
            ("Objective", known(info.get("objective"))),
            ("Reads", format!("the first {} tokens of a text", settings.max_length)),
            (
                "Pooling",
                match settings.pooling {
                    Pooling::Mean => "mean over the tokens",
                    Pooling::Last => "the last token",
                }
                .into(),
            ),
            (
                "Calibration",
                of_traits(settings, |of| match &of.calibration {
                    None => "none".into(),
                    Some(c) => format!(
                        "{}, on {} documents that did not decide the scores",
                        c.method.name(),
                        c.documents
                    ),
                }),
            ),
        ];
        Ok(Self {
            target: settings.targets().collect::<Vec<_>>().join(", "),
            base_model,
            licence: licence(&backbone),
            facts,
            info,
            max_length: settings.max_length,
            hidden_states: match source.scorer.encoder.config.final_norm {
                true => "last_hidden_state".into(),
                false => format!("hidden_states[{}]", source.scorer.encoder.config.n_layers),
            },
            prompt_template: settings.prompt_template.clone(),
            traits: settings.traits.clone(),
            anchors: settings.anchors.clone(),
        })
    }

    /// Writes it, with the result of the check.
    pub(crate) fn write(&self, folder: &Path, options: &Options, report: &Report) -> Result<(), ExportError> {
        let mut text = self.front_matter(options.format);
        // Writing to a string does not fail, and each of these would have to say so.
        let mut put = |paragraph: String| text += &format!("{paragraph}\n\n");
        put(format!("# Pair2Score scorer: {}", self.target));
        put(format!(
            "Scores documents for {}. Trained with Pair2Score (arXiv:2605.02069): a LLaMA backbone learns which of two \
             documents is better, then the score in rubric units.",
            self.target
        ));
        put("## Use".into());
        put(usage(options.format, self.max_length, &self.hidden_states, &self.traits));
        if let Some(template) = &self.prompt_template {
            put(prompts(options.format, template));
        }
        put("## What it is".into());
        let adapters =
            if options.format == Format::Web { "adapters beside them" } else { "adapters folded in" };
        let weights = ("Weights", format!("{}, {adapters}", options.rounding()));
        put(table(["", ""], self.facts.iter().chain([&weights]).map(|(key, value)| [*key, value.as_str()])));
        if self.traits.iter().any(|of| of.calibration.is_some()) {
            put("## Calibration".into());
            put(fitted::calibrations(&self.traits, options));
        }
        if self.traits.iter().any(|of| of.intervals.is_some()) {
            put("## Intervals".into());
            put(fitted::intervals(&self.traits, options));
        }
        put("## Data".into());
        put(self.data());
        let keeps_anchors = matches!(options.format, Format::HuggingFace | Format::Web);
        if let Some(anchors) = self.anchors.as_ref().filter(|_| keeps_anchors) {
            put(fitted::anchors(anchors));
        }
        put("## Metrics".into());
        put(self.metrics());
        put("## Agreement with the trained scorer".into());
        put(agreement(report));
        put("## Limits".into());
        put(format!(
            "- A score means what the training labels meant: this trait, this scale, texts like those it was trained \
             on. Other genres, languages and writers need a check of their own.\n\
             - Only the first {} tokens count; a longer text is cut.\n\
             - Scores of single texts are uncertain by about the error above. Decisions about people need a person.",
            self.max_length
        ));
        put("## Licence".into());
        put(self.licence_text());
        Ok(write_atomic(folder.join("README.md"), format!("{}\n", text.trim_end()).as_bytes())?)
    }

    fn front_matter(&self, format: Format) -> String {
        let library = match format {
            Format::HuggingFace => "transformers",
            Format::SentenceTransformers => "sentence-transformers",
            Format::Onnx => "onnx",
            Format::Web => "pair2score",
        };
        let mut text = "---\n".to_owned();
        let mut put = |key: &str, value: &str| {
            // A JSON string is a YAML string, whatever is in it.
            let value = serde_json::to_string(value).expect("a string serialises");
            let _ = writeln!(text, "{key}: {value}");
        };
        if self.licence.is_empty() {
            put("license", "unknown");
        }
        self.licence.iter().for_each(|(key, value)| put(key, value));
        if let Some(base_model) = &self.base_model {
            put("base_model", base_model);
        }
        put("library_name", library);
        put("pipeline_tag", "feature-extraction");
        text + "tags: [pair2score, document-scoring, llama]\n---\n\n"
    }

    fn data(&self) -> String {
        let sizes: Vec<String> = [("train", "training"), ("val", "validation"), ("test", "test")]
            .into_iter()
            .filter_map(|(key, name)| {
                let n = self.info.get(&format!("{key}_size"))?;
                Some(format!("{n} documents for {name}"))
            })
            .collect();
        let mut lines = Vec::new();
        if !sizes.is_empty() {
            lines.push(format!("- {}.", sizes.join(", ")));
        }
        if let Some(experiment) = self.info.get("experiment_id") {
            lines.push(format!("- Experiment {experiment}."));
        }
        lines.extend(self.info.with_prefix("meta_").map(|(key, value)| format!("- {key}: {value}")));
        if lines.is_empty() { "Not recorded.".into() } else { lines.join("\n") }
    }

    fn metrics(&self) -> String {
        // Of several traits, the name of each follows in brackets.
        let is_size = |key: &str| key == "size" || key.starts_with("size[");
        let rows: Vec<[&str; 2]> =
            self.info.with_prefix("test_").filter(|(key, _)| !is_size(key)).map(<[&str; 2]>::from).collect();
        if rows.is_empty() {
            return "Not recorded.".into();
        }
        let of_grades = match rows.iter().any(|[key, _]| *key == "qwk" || key.starts_with("qwk[")) {
            true => [
                "`qwk` rounds to the nearest grade, `qwk_floor` down; ",
                ", `qwk_thresholds` of the grades by thresholds",
            ],
            false => ["`r2` is the share of the labels' variance that is explained; ", ""],
        };
        let [what, thresholds] = of_grades;
        format!(
            "On the test fold, which training did not see ({what}what ends in `_calibrated` is of the calibrated \
             scores{thresholds}):\n\n{}",
            table(["metric", "value"], rows.into_iter())
        )
    }

    fn licence_text(&self) -> String {
        let base = self.base_model.as_deref().unwrap_or("the backbone");
        match self.licence.iter().find(|(key, _)| key == "license") {
            Some((_, licence)) => format!(
                "The fields above are those of {base}: {licence}. The training data may add terms of its own; check them \
                 before you pass this on."
            ),
            None => format!(
                "Unknown: the folder of {base} names none. These weights are derived from it and from the training data; \
                 find the terms of both and correct `license` above before you pass this on."
            ),
        }
    }
}

/// What holds of all traits said once, else with the name of each.
fn of_traits(settings: &ScorerSettings, text: impl Fn(&TraitSettings) -> String) -> String {
    let texts: Vec<String> = settings.traits.iter().map(text).collect();
    if texts.iter().all(|text| *text == texts[0]) {
        return texts.into_iter().next().unwrap_or_default();
    }
    let named =
        |(target, text): (&str, String)| if target == text { text } else { format!("{target}: {text}") };
    settings.targets().zip(texts).map(named).collect::<Vec<_>>().join("; ")
}

fn scale_text(scale: &ScoreScale) -> String {
    match scale {
        ScoreScale::Graded(Grades { min, max, step }) => format!("{min} to {max} in steps of {step}"),
        ScoreScale::Continuous(Interval { min, max, observed: false }) => {
            format!("{min} to {max}, continuous")
        }
        ScoreScale::Continuous(Interval { min, max, observed: true }) => {
            format!("continuous; labels of training lie between {min} and {max}")
        }
    }
}

/// Which stages the scorer has; `fusion` is `None` without stage 2.
fn stages(relative: bool, fusion: Option<bool>) -> &'static str {
    match (relative, fusion) {
        (false, None) => "none: a backbone alone, for judging",
        (_, None) => "1: ranks, does not score",
        (false, _) => "2: scores",
        (true, Some(false)) => "1 and 2: ranks and scores",
        (true, Some(true)) => "1 and 2, fused: the score reads the embeddings of both",
    }
}

fn usage(format: Format, max_length: usize, hidden_states: &str, traits: &[TraitSettings]) -> String {
    let several = traits.len() > 1;
    let (column, shape) = if several { ("", "[batch, traits]") } else { ("[:, 0]", "[batch]") };
    let what = match several {
        true => {
            let targets: Vec<&str> = traits.iter().map(|of| of.target.as_str()).collect();
            format!("scores, in the order {}", targets.join(", "))
        }
        false => "score".to_owned(),
    };
    let head = if several { "heads/" } else { "head.safetensors" };
    match format {
        Format::Web => "Any web server can host this folder. On this machine:\n\n```sh\n\
            pair2score serve --site .\n```\n\n\
            The page computes in the reader's browser; nothing is sent anywhere."
            .into(),
        Format::HuggingFace => format!(
            "With Pair2Score:\n\n```sh\n\
            pair2score score --scorer . --input essays.csv --output scores.csv\n```\n\n\
            The backbone alone, for hidden states, in Python:\n\n```python\n\
            from transformers import AutoModel, AutoTokenizer\n\
            model, tokenizer = AutoModel.from_pretrained(\".\"), AutoTokenizer.from_pretrained(\".\")\n\
            hidden = model(**tokenizer(text, return_tensors=\"pt\")).{hidden_states}\n```\n\n\
            The heads are in `{head}` and `relative/`, what they do is in `scorer.json`."
        ),
        Format::SentenceTransformers => format!(
            "```python\nfrom sentence_transformers import SentenceTransformer\n\
             scores = SentenceTransformer(\".\").encode(texts){column}\n```\n\n\
             The \"embedding\" is the {what}. Releases before 5 strip blanks around a text, the scorer does not. \
             Empty texts have no score there."
        ),
        Format::Onnx => format!(
            "`onnx/model.onnx` takes `input_ids` and `attention_mask` (int64, `[batch, length]`, at most {max_length} \
             tokens in a row, padding on either side, no row without a token) and gives `score` (float, `{shape}`) and \
             `embedding` (float, `[batch, width]`: what the head reads).\n\n```python\n\
             import numpy, onnxruntime, tokenizers\n\
             tokenizer = tokenizers.Tokenizer.from_file(\"tokenizer.json\")   # cuts at {max_length} tokens\n\
             ids = numpy.array([tokenizer.encode(text).ids], dtype=numpy.int64)\n\
             session = onnxruntime.InferenceSession(\"onnx/model.onnx\")\n\
             score, embedding = session.run(None, {{\"input_ids\": ids, \"attention_mask\": numpy.ones_like(ids)}})\n```"
        ),
    }
}

/// How the prompt of a text is given.
fn prompts(format: Format, template: &PromptTemplate) -> String {
    let template = template.to_string();
    let how = match format {
        Format::HuggingFace => "`--prompt-col` names the column of the prompts.",
        Format::Web => "The page asks for it.",
        Format::SentenceTransformers | Format::Onnx => {
            "Put both together before; where they are too long, shorten the prompt, which was cut first in training."
        }
    };
    format!(
        "Each text is read with the prompt that it answers, as `{template:?}`, and alone where it has none. {how}"
    )
}

fn agreement(report: &Report) -> String {
    let lines = [
        ("scores", report.scores),
        ("calibrated scores", report.calibrated),
        ("utilities", report.utilities),
        ("embeddings", report.embeddings),
    ];
    let lines = lines.into_iter().filter_map(|(what, difference)| {
        let Difference { largest, mean, .. } = difference?;
        Some(format!("- {what}: largest difference {largest:.1e}, mean {mean:.1e}"))
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "Read back after writing, on {} texts:\n\n{}\n- largest change of a weight by rounding: {:.1e}",
        crate::golden::texts().len(),
        lines.join("\n"),
        report.weight_deviation
    )
}

/// A table without a bar in its cells.
fn table<'a>(head: [&str; 2], rows: impl Iterator<Item = [&'a str; 2]>) -> String {
    let row = |[a, b]: [&str; 2]| format!("| {} | {} |", a.replace('|', "\\|"), b.replace('|', "\\|"));
    let lines: Vec<String> = [row(head), "|---|---|".to_owned()].into_iter().chain(rows.map(row)).collect();
    lines.join("\n")
}

/// The licence fields in the front matter of a backbone's card; none where it has no card.
fn licence(backbone: &Path) -> Vec<(String, String)> {
    let candidates = [backbone.to_path_buf(), backbone.join("model")];
    let text =
        candidates.iter().find_map(|folder| read_text(folder.join("README.md")).ok()).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return Vec::new();
    }
    let field = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim().trim_matches(['"', '\'']);
        let known =
            ["license", "license_name", "license_link"].contains(&key) && !["", "unknown"].contains(&value);
        known.then(|| (key.to_owned(), value.to_owned()))
    };
    lines.take_while(|line| line.trim_end() != "---").filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_fields_come_from_the_front_matter_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(licence(folder.path()), []);
        let path = folder.path().join("README.md");
        std::fs::write(&path, "license: mit\n---\n").unwrap();
        assert_eq!(licence(folder.path()), []);
        std::fs::write(&path, "---\nlicense: other\nlicense_name: \"x y\"\ntags:\n- a\n---\nlicense: mit\n")
            .unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(licence(folder.path()), [pair("license", "other"), pair("license_name", "x y")]);
    }

    #[test]
    fn run_information_keeps_no_paths() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text =
            "stage: absolute\nbackbone: /home/someone/llama\npairs_file: C:\\x\\p.jsonl\ntest_qwk: 0.5\n";
        std::fs::write(from.path().join(RUN_INFO[0]), text).unwrap();
        write_run_info(from.path(), to.path()).unwrap();
        let written = std::fs::read_to_string(to.path().join(RUN_INFO[0])).unwrap();
        assert_eq!(written, "stage: absolute\nbackbone: llama\npairs_file: p.jsonl\ntest_qwk: 0.5\n");
    }
}

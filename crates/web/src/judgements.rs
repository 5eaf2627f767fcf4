//! Judgements for the annotation page: the next pair, the account of a log, and files read as the command line does.
//!
//! Logs cross as JSONL, which is also what the page exports: both sides of the border mean the same bytes. What is asked
//! for after every judgement crosses as numbers.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use pair2score_data::judgements::select::{Kind, Mix, Showing};
use pair2score_data::judgements::{
    self, Comparison, Comparisons, Features, Given, JudgementLog, LogDefaults, Plan, PlanOptions, Proposal,
    Shown, Stats, StatsOptions, Strategy,
};
use pair2score_data::pairs::{Pair, PairCache, parse_pairs};
use pair2score_data::{Result as DataResult, rng};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::error::data_failure as failure;
use crate::features::DocumentFeatures;
use crate::value;

/// What a page sets for one judge.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    /// The ids, in the order of the indices that cross.
    documents: Vec<String>,
    judge: String,
    seed: u32,
    strategy: Name,
    /// For `given`.
    list: Vec<Proposal>,
    per_document: usize,
    /// Shares of all pairs, 0 to below 1.
    repeats: f64,
    gold_share: f64,
    gold: Vec<Pair>,
    /// Judgements of others, JSONL.
    others: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Balanced,
    Adaptive,
    Assisted,
    Given,
}

/// Chooses the pairs of one judge.
#[wasm_bindgen]
pub struct JudgementPlan {
    plan: Plan,
    others: Vec<Comparison>,
}

#[wasm_bindgen]
impl JudgementPlan {
    /// Makes a plan from settings in JSON, for `assisted` with what is known of the documents. Pairs of a list and gold
    /// pairs that name other documents are left out.
    ///
    /// # Errors
    /// Settings that are none, features of other documents, and a log of others that cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &str, features: &DocumentFeatures) -> Result<JudgementPlan, JsValue> {
        let settings: Settings = serde_json::from_str(settings).map_err(failure)?;
        Self::open(settings, features).map_err(failure)
    }

    /// How many regular pairs the plan has.
    pub fn pairs(&self) -> usize {
        self.plan.len()
    }

    /// The next pair as `[left, right, kind]`; nothing at the end. `history` has four numbers per pair that was shown:
    /// left, right, kind (0 regular, 1 repeat, 2 gold) and answer (0 right, 1 tie, 2 left, 3 none). `taken` has two per
    /// pair that another window shows.
    ///
    /// # Errors
    /// When no fit is possible.
    pub fn next(&mut self, history: &[u32], taken: &[u32]) -> Result<Option<Vec<u32>>, JsValue> {
        let history: Vec<Shown> = history.chunks_exact(4).map(shown).collect();
        let taken: Vec<(usize, usize)> =
            taken.chunks_exact(2).map(|pair| (pair[0] as usize, pair[1] as usize)).collect();
        let next = self.plan.next(&history, &self.others, &taken).map_err(failure)?;
        Ok(next.map(|Showing { left, right, kind }| {
            let kind = KINDS.iter().position(|&known| known == kind).unwrap_or_default();
            vec![left as u32, right as u32, kind as u32]
        }))
    }
}

#[wasm_bindgen]
impl JudgementPlan {
    /// Chooses ahead what takes long, while somebody reads; `history` is as for [`next`](Self::next).
    ///
    /// # Errors
    /// When no fit is possible.
    pub fn prepare(&mut self, history: &[u32]) -> Result<(), JsValue> {
        let history: Vec<Shown> = history.chunks_exact(4).map(shown).collect();
        self.plan.prepare(&history, &self.others).map_err(failure)
    }
}

const KINDS: [Kind; 3] = [Kind::Regular, Kind::Repeat, Kind::Gold];

fn shown(numbers: &[u32]) -> Shown {
    let kind = KINDS.get(numbers[2] as usize).copied().unwrap_or_default();
    let showing = Showing { left: numbers[0] as usize, right: numbers[1] as usize, kind };
    Shown { showing, y: (numbers[3] < 3).then(|| f64::from(numbers[3]) / 2.0) }
}

impl JudgementPlan {
    fn open(settings: Settings, features: &DocumentFeatures) -> DataResult<Self> {
        let places: HashMap<&str, usize> =
            settings.documents.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let place = |a: &str, b: &str| Some((*places.get(a)?, *places.get(b)?));
        let given = |proposal: &Proposal| {
            let Proposal { a, b, shown_left, kind } = proposal;
            let (left, right) = if shown_left.as_ref() == Some(b) { (b, a) } else { (a, b) };
            Some(Given { pair: place(left, right)?, sided: shown_left.is_some(), kind: *kind })
        };
        let others = log_or_empty("others", &settings.others)?;
        // Their documents may be more than those of the page.
        let compare = |pair: &Pair| {
            let (a, b) = place(&pair.a, &pair.b)?;
            Some(Comparison::new(a, b, pair.y))
        };
        let others = others.judgements.iter().filter_map(|judgement| compare(&judgement.pair)).collect();
        let strategy = match settings.strategy {
            Name::Balanced => Strategy::Balanced,
            Name::Adaptive => Strategy::Adaptive(Features::none(settings.documents.len()).into()),
            Name::Assisted => Strategy::Adaptive(features.shared()),
            Name::Given => Strategy::Given(settings.list.iter().filter_map(given).collect()),
        };
        let plan = Plan::new(PlanOptions {
            n: settings.documents.len(),
            strategy,
            per_document: settings.per_document,
            mix: Mix { repeats: settings.repeats, gold: settings.gold_share, ..Mix::default() },
            gold: settings.gold.iter().filter_map(|pair| place(&pair.a, &pair.b)).collect(),
            seed: rng::mix(settings.seed.into(), &["judge", &settings.judge]),
        })?;
        Ok(Self { plan, others })
    }
}

/// An empty text is an empty log here: nobody has judged yet. Each judgement was made here or names its judge, though a
/// person may be called by the letters NA, which elsewhere mean nobody.
pub(crate) fn log_or_empty(name: &str, text: &str) -> DataResult<JudgementLog> {
    let defaults = LogDefaults { target: None, judge: Some("NA".to_owned()) };
    match text.trim().is_empty() {
        true => Ok(JudgementLog::merge(Vec::new())),
        false => JudgementLog::parse(Path::new(name), text, &defaults),
    }
}

/// The account of a log of one trait (JSONL), with gold pairs as JSON, in the words of `judgements stats --json`.
///
/// # Errors
/// A log or gold pairs that cannot be read.
#[wasm_bindgen]
pub fn statistics(log: &str, gold: &str) -> Result<JsValue, JsValue> {
    let gold: Vec<Pair> = serde_json::from_str(gold).map_err(failure)?;
    Ok(value(&account(log, gold).map_err(failure)?))
}

/// The fit of a log of one trait as CSV, as `judgements fit` writes it.
///
/// # Errors
/// A log that cannot be read.
#[wasm_bindgen]
pub fn fit_csv(log: &str) -> Result<String, JsValue> {
    Ok(account(log, Vec::new()).map_err(failure)?.fit_csv())
}

fn account(log: &str, gold: Vec<Pair>) -> DataResult<Stats> {
    let comparisons = Comparisons::from(&log_or_empty("judgements", log)?);
    let lines = (1..=gold.len()).collect();
    let gold = PairCache { pairs: gold, lines, path: "gold pairs".into() };
    let gold = judgements::gold_answers(&[gold], &comparisons.documents, None)?;
    judgements::stats(&comparisons, &gold, &StatsOptions::default())
}

/// What a file brings.
#[derive(Debug, Serialize)]
struct Merged {
    /// Its judgements that were not there, JSONL.
    lines: String,
    added: usize,
    duplicates: usize,
}

/// What the log in `text` adds to the one in `existing`, about one trait.
///
/// # Errors
/// With file and line: a log that cannot be read, or that judges documents that are not among `documents`.
#[wasm_bindgen]
pub fn merge(
    existing: &str,
    name: &str,
    text: &str,
    target: &str,
    documents: Vec<String>,
) -> Result<JsValue, JsValue> {
    Ok(value(&merged(existing, name, text, target, &documents).map_err(failure)?))
}

fn merged(existing: &str, name: &str, text: &str, target: &str, documents: &[String]) -> DataResult<Merged> {
    let defaults = LogDefaults { target: Some(target.to_owned()), judge: None };
    let log = JudgementLog::parse(Path::new(name), text, &defaults)?.of_trait(Some(target))?;
    let known: HashSet<&str> = documents.iter().map(String::as_str).collect();
    log.check_documents(|id| known.contains(id))?;
    let added = log_or_empty("judgements", existing)?.additions(log);
    Ok(Merged { lines: added.to_jsonl(), added: added.judgements.len(), duplicates: added.duplicates })
}

/// Reads a list of pairs to judge.
///
/// # Errors
/// With its line, what is no pair.
#[wasm_bindgen]
pub fn parse_pair_list(name: &str, text: &str) -> Result<JsValue, JsValue> {
    Ok(value(&judgements::parse_proposals(Path::new(name), text).map_err(failure)?))
}

/// Reads pairs whose answer is known.
///
/// # Errors
/// With its line, what is no pair, and two different answers about one.
#[wasm_bindgen]
pub fn parse_gold(name: &str, text: &str) -> Result<JsValue, JsValue> {
    let cache = parse_pairs(Path::new(name), text).map_err(failure)?;
    let mut documents: Vec<String> =
        cache.pairs.iter().flat_map(|pair| [pair.a.clone(), pair.b.clone()]).collect();
    documents.sort_unstable();
    documents.dedup();
    judgements::gold_answers(std::slice::from_ref(&cache), &documents, None).map_err(failure)?;
    Ok(value(&cache.pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"run":0,"trait":"quality","split":"train","index":0,"a":"x","b":"y","y":1,"judge":"me","shown_left":"x","ms":900,"at":"2026-05-01T10:00:00Z"}"#;

    fn settings(changes: serde_json::Value) -> DataResult<JudgementPlan> {
        let mut settings = serde_json::json!({
            "documents": ["x", "y", "z"], "judge": "me", "seed": 1, "strategy": "balanced", "list": [],
            "perDocument": 2, "repeats": 0.0, "goldShare": 0.0, "gold": [], "others": ""
        });
        for (key, value) in changes.as_object().unwrap() {
            settings[key] = value.clone();
        }
        JudgementPlan::open(serde_json::from_value(settings).unwrap(), &DocumentFeatures::of(2, &[], false)?)
    }

    #[test]
    fn a_session_by_numbers() {
        let mut plan = settings(serde_json::json!({})).unwrap();
        assert_eq!(plan.pairs(), 3);
        let mut history = Vec::new();
        while let Some(next) = plan.next(&history, &[]).unwrap() {
            assert!(next[0] < 3 && next[1] < 3 && next[0] != next[1] && next[2] == 0, "{next:?}");
            history.extend_from_slice(&[next[0], next[1], 0, 3]);
        }
        assert_eq!(history.len(), 12);
    }

    #[test]
    fn a_list_keeps_sides_and_leaves_out_other_documents() {
        let list = serde_json::json!([
            {"a": "x", "b": "z", "shown_left": "z"}, {"a": "x", "b": "elsewhere"},
            {"a": "x", "b": "z", "shown_left": "x", "kind": "repeat"}
        ]);
        let mut plan = settings(serde_json::json!({"strategy": "given", "list": list})).unwrap();
        assert_eq!(plan.next(&[], &[]).unwrap(), Some(vec![2, 0, 0]));
        assert_eq!(plan.next(&[2, 0, 0, 2], &[]).unwrap(), Some(vec![0, 2, 1]));
        assert_eq!(plan.next(&[2, 0, 0, 2, 0, 2, 1, 1], &[]).unwrap(), None);
    }

    #[test]
    fn features_must_be_those_of_all_documents() {
        let missing = serde_json::json!({"strategy": "assisted"});
        assert!(settings(missing).is_err_and(|error| error.to_string().contains("let the scorer read")));
    }

    #[test]
    fn merging_adds_what_is_new_and_names_what_is_wrong() {
        let documents = ["x", "y"].map(str::to_owned);
        let other = LINE.replace("\"me\"", "\"you\"");
        let both = format!("{LINE}\n{other}\n");
        let merge = |target: &str, documents: &[String]| merged(LINE, "you.jsonl", &both, target, documents);
        let result = merge("quality", &documents).unwrap();
        assert_eq!((result.added, result.duplicates), (1, 1));
        assert!(result.lines.contains("\"you\"") && result.lines.ends_with("}\n"), "{}", result.lines);
        let message = merge("quality", &documents[..1]).unwrap_err().to_string();
        assert!(message.starts_with("you.jsonl: line 1: document \"y\" is not here"), "{message}");
        let message = merge("grammar", &documents).unwrap_err().to_string();
        assert!(message.contains("no judgement about \"grammar\", only about quality"), "{message}");
    }

    #[test]
    fn an_empty_log_has_an_empty_account() {
        let stats = account("", Vec::new()).unwrap();
        assert_eq!((stats.judgements, stats.scale_separation), (0, None));
        assert_eq!(stats.fit_csv(), "id,utility,se,n,wins,ties,losses,infit\n");
        let gold: Vec<Pair> = parse_pairs(Path::new("gold"), LINE).unwrap().pairs;
        let stats = account(LINE, gold).unwrap();
        assert_eq!((stats.judges[0].gold, stats.judges[0].gold_right), (1, 1));
    }
}

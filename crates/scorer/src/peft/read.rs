//! Reads a PEFT configuration; everything that is wrong with it is said at once.

use std::path::Path;

use pair2score_model::Projection;
use regex::Regex;
use serde_json::{Map, Value};

use super::patterns::{PatternOrder, no_expression, pattern};
use super::support::{foreign_head, is_off, unsupported};
use super::{Layers, Modules, PeftConfig};
use crate::error::{ScorerError, read_to_string};

/// No adapter in use comes near; larger ones come from damaged files.
const MAX_RANK: u64 = 65_536;
/// What a rank must be, for messages.
const RANK: &str = "an integer from 1 to 65536";
/// What an alpha must be, for messages: scales are computed with in f32.
const ALPHA: &str = "a number of 32 bits";

fn as_rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|rank| (1..=MAX_RANK).contains(rank)).map(|rank| rank as usize)
}

fn as_alpha(value: &Value) -> Option<f64> {
    value.as_f64().filter(|&alpha| (alpha as f32).is_finite())
}

pub(crate) fn read_peft_config(path: &Path) -> Result<PeftConfig, ScorerError> {
    let text = read_to_string(path)?;
    let value: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| ScorerError::invalid(path, format!("not a JSON object: {error}")))?;
    let order: PatternOrder = serde_json::from_str(&text).unwrap_or_default();
    parse(&value, &order).map_err(|problem| ScorerError::invalid(path, problem))
}

/// As a file of the same content whose keys are in alphabetical order.
pub(crate) fn parse_peft_config(value: &Map<String, Value>) -> Result<PeftConfig, String> {
    parse(value, &PatternOrder::default())
}

pub(super) fn parse(value: &Map<String, Value>, order: &PatternOrder) -> Result<PeftConfig, String> {
    let mut problems = unsupported(value);
    let foreign_head = foreign_head(value, &mut problems);
    let rank = value.get("r").and_then(as_rank).unwrap_or_else(|| {
        problems.push(format!("r must be {RANK}"));
        1
    });
    let alpha = value.get("lora_alpha").and_then(as_alpha).unwrap_or_else(|| {
        problems.push(format!("lora_alpha must be {ALPHA}"));
        1.0
    });
    let dropout = match value.get("lora_dropout") {
        None | Some(Value::Null) => 0.0,
        Some(share) => share.as_f64().filter(|share| (0.0..1.0).contains(share)).unwrap_or_else(|| {
            problems.push(format!("lora_dropout is {share}, it must be in [0, 1)"));
            0.0
        }),
    };
    let rslora = match value.get("use_rslora") {
        None | Some(Value::Null) => false,
        Some(flag) => flag.as_bool().unwrap_or_else(|| {
            problems.push(format!("use_rslora is {flag}, it must be true or false"));
            false
        }),
    };
    let targets = targets(value.get("target_modules"), &mut problems);
    let exclude = match value.get("exclude_modules") {
        Some(set) if !is_off(set) => Some(modules("exclude_modules", set, &mut problems)),
        _ => None,
    };
    let layers = layers(value, &mut problems);
    let rank_pattern = pattern(value, "rank_pattern", &order.rank_pattern, as_rank, RANK, &mut problems);
    let positive = |value: &Value| as_alpha(value).filter(|&alpha| alpha > 0.0);
    let expected = format!("{ALPHA} above 0");
    let alpha_pattern =
        pattern(value, "alpha_pattern", &order.alpha_pattern, positive, &expected, &mut problems);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    Ok(PeftConfig {
        rank,
        alpha,
        dropout,
        targets,
        exclude,
        layers,
        rank_pattern,
        alpha_pattern,
        rslora,
        foreign_head,
    })
}

/// A list of names, or a regular expression of whole names.
fn modules(key: &str, value: &Value, problems: &mut Vec<String>) -> Modules {
    let names = |list: &Vec<Value>| list.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    match (value.as_str(), value.as_array().and_then(names)) {
        (Some(text), _) => match Regex::new(&format!("^(?:{text})$")) {
            Ok(whole) => return Modules::Matching(whole),
            Err(error) => problems.push(no_expression(key, &error)),
        },
        (None, Some(names)) => return Modules::Named(names),
        (None, None) => problems.push(format!("{key} must be a list of modules or a regular expression")),
    }
    Modules::Named(Vec::new())
}

fn targets(value: Option<&Value>, problems: &mut Vec<String>) -> Modules {
    if value.and_then(Value::as_str) == Some("all-linear") {
        return Modules::AllLinear;
    }
    let targets = modules("target_modules", value.unwrap_or(&Value::Null), problems);
    if let Modules::Named(names) = &targets {
        for name in names {
            let last = name.rsplit('.').next().unwrap_or_default();
            if Projection::from_name(last).is_none() {
                problems.push(format!(
                    "target_modules names {name:?}, supported are {}",
                    Projection::ALL.map(Projection::name).join(", ")
                ));
            }
        }
    }
    targets
}

fn layers(value: &Map<String, Value>, problems: &mut Vec<String>) -> Option<Layers> {
    let set = value.get("layers_to_transform").filter(|set| !is_off(set))?;
    let numbers = match set {
        Value::Array(list) => list.iter().map(Value::as_u64).collect(),
        one => one.as_u64().map(|number| vec![number]),
    };
    let Some(numbers) = numbers else {
        problems.push(format!("layers_to_transform is {set}, it must be a layer's number or a list of them"));
        return None;
    };
    if value.get("target_modules").is_some_and(Value::is_string) {
        problems.push("layers_to_transform needs target_modules to be a list, as in PEFT".into());
    }
    let names: Vec<&str> = match value.get("layers_pattern").filter(|set| !is_off(set)) {
        None => vec!["[^.]*"],
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(other) => {
            problems.push(format!("layers_pattern is {other}, it must be a name or a list of names"));
            return None;
        }
    };
    let mut number_in = Vec::new();
    for name in names {
        match Regex::new(&format!(r"^.*\.{name}\.(\d+)\.")) {
            Ok(pattern) => number_in.push(pattern),
            Err(error) => problems.push(no_expression("layers_pattern", &error)),
        }
    }
    Some(Layers { numbers, number_in })
}

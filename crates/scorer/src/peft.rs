//! `adapter_config.json`: which modules a PEFT LoRA adapter changes, and how, by PEFT's own rules.
//!
//! | Key | Rule (PEFT 0.21) |
//! |---|---|
//! | `target_modules`, a list | the module's name, or the end of it behind a dot |
//! | `target_modules`, a text | a regular expression of the whole name, or `all-linear` |
//! | `exclude_modules` | as `target_modules`; goes before it |
//! | `layers_to_transform`, `layers_pattern` | of modules that a list targets, those of these layers |
//! | `rank_pattern`, `alpha_pattern` | regular expressions of the end of the name; the first in the file that matches |
//!
//! A key that changes what an adapter computes and is not known here is an error.

use std::path::Path;

use pair2score_model::{LlamaConfig, Projection};
use regex::Regex;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{ScorerError, read_to_string};
use crate::names::{Factor, FactorKey};

/// What we need of `adapter_config.json`.
#[derive(Debug)]
pub(crate) struct PeftConfig {
    pub(crate) rank: usize,
    pub(crate) alpha: f64,
    pub(crate) dropout: f64,
    targets: Modules,
    exclude: Option<Modules>,
    layers: Option<Layers>,
    rank_pattern: Vec<(Regex, usize)>,
    alpha_pattern: Vec<(Regex, f64)>,
    rslora: bool,
    /// Whether the adapter was trained with a head that is none of ours.
    pub(crate) foreign_head: bool,
}

/// Modules by their names.
#[derive(Debug)]
enum Modules {
    AllLinear,
    Matching(Regex),
    Named(Vec<String>),
}

/// `layers_to_transform` and how a layer's number is found in a name.
#[derive(Debug)]
struct Layers {
    numbers: Vec<u64>,
    number_in: Vec<Regex>,
}

impl PeftConfig {
    /// Rank and scale of a module, `None` where it is none of the adapter's. `prefix` is what the model puts before
    /// `layers`.
    pub(crate) fn rank_and_scale(
        &self,
        prefix: &str,
        layer: usize,
        projection: Projection,
    ) -> Option<(usize, f64)> {
        let module = format!("{prefix}layers.{layer}.{}.{}", projection.parent(), projection.name());
        if self.exclude.as_ref().is_some_and(|modules| modules.contain(&module))
            || !self.targets.contain(&module)
            || self.layers.as_ref().is_some_and(|layers| !layers.contain(&module))
        {
            return None;
        }
        let rank = matching(&self.rank_pattern, &module).unwrap_or(self.rank);
        let alpha = matching(&self.alpha_pattern, &module).unwrap_or(self.alpha);
        let divisor = if self.rslora { (rank as f64).sqrt() } else { rank as f64 };
        Some((rank, alpha / divisor))
    }

    /// Every factor on the layers of a backbone with its shape, those above the ones that run included.
    pub(crate) fn shapes(&self, prefix: &str, backbone: &LlamaConfig) -> Vec<(FactorKey, Vec<usize>)> {
        let mut shapes = Vec::new();
        for layer in 0..backbone.n_layers + backbone.layers_above {
            for projection in Projection::ALL {
                let Some((rank, _)) = self.rank_and_scale(prefix, layer, projection) else { continue };
                let (inputs, outputs) = backbone.projection_shape(projection);
                shapes.push(((layer, projection, Factor::A), vec![rank, inputs]));
                shapes.push(((layer, projection, Factor::B), vec![outputs, rank]));
            }
        }
        shapes
    }

    /// Whether a tensor belongs to the head that the adapter was trained with.
    pub(crate) fn is_foreign_head(&self, tensor: &str) -> bool {
        let module = tensor.strip_prefix("base_model.model.").and_then(|rest| rest.split('.').next());
        self.foreign_head && module.is_some_and(|module| HEADS.contains(&module))
    }
}

impl Modules {
    fn contain(&self, module: &str) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Matching(whole) => whole.is_match(module),
            Self::Named(names) => names.iter().any(|name| {
                module.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
        }
    }
}

impl Layers {
    fn contain(&self, module: &str) -> bool {
        let number = self.number_in.iter().find_map(|pattern| pattern.captures(module)?.get(1));
        number.and_then(|number| number.as_str().parse().ok()).is_some_and(|n: u64| self.numbers.contains(&n))
    }
}

/// The value of the first pattern that matches.
fn matching<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|&(_, value)| value)
}

/// Keys whose value changes what an adapter computes, and the values that leave it unchanged.
const NEUTRAL: [(&str, &[&str]); 11] = [
    ("use_dora", &["false", "null"]),
    ("use_qalora", &["false", "null"]),
    ("use_bdlora", &["false", "null"]),
    ("lora_bias", &["false", "null"]),
    ("fan_in_fan_out", &["false", "null"]),
    ("bias", &["\"none\"", "null"]),
    ("layer_replication", &["null", "[]"]),
    ("target_parameters", &["null", "[]"]),
    ("trainable_token_indices", &["null", "[]", "{}"]),
    ("alora_invocation_tokens", &["null", "[]"]),
    ("megatron_config", &["null"]),
];

/// Keys that are read below.
const READ: [&str; 14] = [
    "peft_type",
    "task_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "init_lora_weights",
];

/// Keys that change nothing: they say where an adapter comes from, or how it began, which `init_lora_weights` decides.
const INERT: [&str; 14] = [
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "runtime_config",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "qalora_group_size",
    "ensure_weight_tying",
    "ephemeral_gpu_offload",
];

/// Ways to begin that leave the backbone's weights as they are. EVA only chooses `A`, with `B` at zero.
const HARMLESS_INITS: [&str; 6] = ["true", "false", "null", "\"gaussian\"", "\"orthogonal\"", "\"eva\""];

/// Heads that PEFT saves beside an adapter for classification.
const HEADS: [&str; 2] = ["score", "classifier"];

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

fn parse(value: &Map<String, Value>, order: &PatternOrder) -> Result<PeftConfig, String> {
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

/// Whatever the file asks for that is not done here.
fn unsupported(value: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    if value.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        problems.push(format!(
            "peft_type is {}, only \"LORA\" is supported",
            value.get("peft_type").unwrap_or(&Value::Null)
        ));
    }
    for (key, neutral) in NEUTRAL {
        if let Some(set) = value.get(key).filter(|v| !neutral.contains(&v.to_string().as_str())) {
            problems.push(format!("{key} = {set} is not supported"));
        }
    }
    let init = value.get("init_lora_weights").unwrap_or(&Value::Null);
    if !HARMLESS_INITS.contains(&init.to_string().as_str()) {
        problems.push(format!(
            "init_lora_weights = {init} changes the weights of the backbone, too, and those are not in this folder; \
             convert the adapter with PEFT (save_pretrained with path_initial_model_for_weight_conversion), or merge it \
             there"
        ));
    }
    let known = |key: &str| {
        READ.contains(&key) || INERT.contains(&key) || NEUTRAL.iter().any(|(neutral, _)| *neutral == key)
    };
    for (key, set) in value.iter().filter(|(key, set)| !known(key) && !is_off(set)) {
        problems.push(format!("{key} = {set} is not known to this program"));
    }
    problems
}

/// Whether a key with this value asks for nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Whether the adapter comes with the head of a classifier.
fn foreign_head(value: &Map<String, Value>, problems: &mut Vec<String>) -> bool {
    let task = value.get("task_type").and_then(Value::as_str).unwrap_or_default();
    let classifies = matches!(task, "SEQ_CLS" | "TOKEN_CLS");
    let saved = value.get("modules_to_save").filter(|set| !is_off(set));
    let heads_alone = |set: &Value| {
        set.as_array().is_some_and(|list| list.iter().all(|name| HEADS.iter().any(|head| name == head)))
    };
    if let Some(set) = saved.filter(|set| !(classifies && heads_alone(set))) {
        problems.push(format!("modules_to_save = {set} is not supported"));
    }
    classifies
}

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

/// The keys of both patterns in the order of the file, which a map of `serde_json` does not keep.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PatternOrder {
    rank_pattern: Keys,
    alpha_pattern: Keys,
}

#[derive(Debug, Default)]
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Keys, E> {
                Ok(Keys::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_any(InOrder)
    }
}

/// A map from patterns of modules to numbers; `read` refuses what is not `expected`.
fn pattern<T>(
    config: &Map<String, Value>,
    key: &str,
    order: &Keys,
    read: impl Fn(&Value) -> Option<T>,
    expected: &str,
    problems: &mut Vec<String>,
) -> Vec<(Regex, T)> {
    let entries = match config.get(key) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            problems.push(format!("{key} is {other}, it must be an object"));
            return Vec::new();
        }
    };
    let mut entries: Vec<(&String, &Value)> = entries.iter().collect();
    entries.sort_by_key(|(module, _)| order.0.iter().position(|key| key == *module));
    let mut numbers = Vec::new();
    for (module, value) in entries {
        let Some(number) = read(value) else {
            problems.push(format!("{key}.{module} is {value}, it must be {expected}"));
            continue;
        };
        match Regex::new(&format!(r"^(?:.*\.)?(?:{module})$")) {
            Ok(pattern) => numbers.push((pattern, number)),
            Err(error) => problems.push(no_expression(&format!("{key}.{module}"), &error)),
        }
    }
    numbers
}

fn no_expression(place: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    format!("{place} is no regular expression ({})", error.lines().last().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::names;

    fn config(changes: Value) -> Result<PeftConfig, String> {
        let mut value =
            json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]});
        for (key, set) in changes.as_object().unwrap() {
            value[key] = set.clone();
        }
        parse_peft_config(value.as_object().unwrap())
    }

    /// Layers of which this projection is changed, of three.
    fn layers_of(config: &PeftConfig, prefix: &str, projection: Projection) -> Vec<usize> {
        (0..3).filter(|&layer| config.rank_and_scale(prefix, layer, projection).is_some()).collect()
    }

    #[test]
    fn modules_are_chosen_by_name_by_expression_and_by_layer() {
        for (changes, q, v) in [
            (json!({}), vec![0, 1, 2], vec![0, 1, 2]),
            (json!({"target_modules": ["model.layers.1.self_attn.q_proj"]}), vec![1], vec![]),
            (json!({"target_modules": ["1.self_attn.q_proj", "self_attn.v_proj"]}), vec![1], vec![0, 1, 2]),
            (json!({"target_modules": r".*\.(0|2)\.self_attn\.[qk]_proj"}), vec![0, 2], vec![]),
            // An expression is of the whole name.
            (json!({"target_modules": "q_proj"}), vec![], vec![]),
            (json!({"target_modules": "all-linear"}), vec![0, 1, 2], vec![0, 1, 2]),
            (json!({"layers_to_transform": [0, 2]}), vec![0, 2], vec![0, 2]),
            (json!({"layers_to_transform": 1, "layers_pattern": "layers"}), vec![1], vec![1]),
            (json!({"layers_to_transform": 1, "layers_pattern": "h"}), vec![], vec![]),
            (json!({"exclude_modules": ["v_proj"]}), vec![0, 1, 2], vec![]),
            (json!({"exclude_modules": r".*\.1\..*"}), vec![0, 2], vec![0, 2]),
        ] {
            let config = config(changes.clone()).unwrap();
            let found = [Projection::Q, Projection::V].map(|p| layers_of(&config, names::PREFIX, p));
            assert_eq!(found, [q, v], "{changes}");
        }
        // PEFT finds no layer's number in a name that begins with `layers`.
        let bare = config(json!({"layers_to_transform": [0]})).unwrap();
        assert!(layers_of(&bare, "", Projection::Q).is_empty());
    }

    #[test]
    fn patterns_are_expressions_of_the_end_and_the_first_wins() {
        let rank = |patterns: &str, layer, projection| {
            let text = format!(
                r#"{{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": "all-linear",
                    "rank_pattern": {patterns}}}"#
            );
            let order: PatternOrder = serde_json::from_str(&text).unwrap();
            let config = parse(&serde_json::from_str(&text).unwrap(), &order).unwrap();
            config.rank_and_scale(names::PREFIX, layer, projection).unwrap().0
        };
        let q = Projection::Q;
        assert_eq!(rank(r#"{"q_proj": 8}"#, 0, q), 8);
        assert_eq!(rank(r#"{"roj": 8}"#, 0, q), 4, "behind a dot");
        assert_eq!(rank(r#"{"q_pro": 8}"#, 0, q), 4, "to the end");
        assert_eq!(rank(r#"{"[qv]_proj": 8}"#, 0, q), 8);
        assert_eq!(rank(r#"{"layers.1.self_attn.q_proj": 8}"#, 1, q), 8);
        assert_eq!(rank(r#"{"^model.layers.1.self_attn.q_proj": 8}"#, 1, q), 8);
        assert_eq!(rank(r#"{"^layers.1.self_attn.q_proj": 8}"#, 1, q), 4);
        assert_eq!(rank(r#"{"layers\\.[01]\\..*": 8}"#, 2, q), 4);
        assert_eq!(rank(r#"{"self_attn.*": 16, "q_proj": 8}"#, 0, q), 16);
        assert_eq!(rank(r#"{"q_proj": 8, "self_attn.*": 16}"#, 0, q), 8);
    }

    #[test]
    fn what_changes_the_numbers_and_is_not_known_is_refused() {
        for (changes, problem) in [
            (
                json!({"init_lora_weights": "pissa_niter_4"}),
                "init_lora_weights = \"pissa_niter_4\" changes the",
            ),
            (json!({"init_lora_weights": "olora"}), "path_initial_model_for_weight_conversion"),
            (json!({"init_lora_weights": "loftq"}), "or merge it there"),
            (json!({"kasa_config": {"beta": 1}}), "kasa_config = {\"beta\":1} is not known to this program"),
            (json!({"use_new_trick": true}), "use_new_trick = true is not known"),
            (json!({"rank_pattern": {"(": 4}}), "rank_pattern.( is no regular expression"),
            (json!({"target_modules": "(?<!a)q_proj"}), "target_modules is no regular expression"),
            (json!({"modules_to_save": ["score"]}), "modules_to_save = [\"score\"] is not supported"),
            (json!({"task_type": "SEQ_CLS", "modules_to_save": ["embed_tokens"]}), "modules_to_save = "),
            (json!({"layers_to_transform": [0], "target_modules": "q_proj"}), "to be a list, as in PEFT"),
        ] {
            let message = config(changes.clone()).map(|_| ()).unwrap_err();
            assert!(message.contains(problem), "{changes}: {message}");
        }
        for changes in [
            json!({"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}),
            json!({"init_lora_weights": "gaussian", "use_new_trick": null, "another": {}, "peft_version": "9"}),
            json!({"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]}),
        ] {
            config(changes.clone()).unwrap_or_else(|problem| panic!("{changes}: {problem}"));
        }
    }
}

//! What a PEFT configuration may ask for: keys that are read, keys that change nothing, and refusals of the rest.

use serde_json::{Map, Value};

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

/// What PEFT does for the others that change the backbone.
const CONVERT: &str =
    "convert the adapter with PEFT (save_pretrained with path_initial_model_for_weight_conversion), or ";

/// Heads that PEFT saves beside an adapter for classification.
pub(super) const HEADS: [&str; 2] = ["score", "classifier"];

/// Whatever the file asks for that is not done here.
pub(super) fn unsupported(value: &Map<String, Value>) -> Vec<String> {
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
             {}merge it with PEFT",
            if init == "loftq" { "" } else { CONVERT }
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
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Whether the adapter comes with the head of a classifier.
pub(super) fn foreign_head(value: &Map<String, Value>, problems: &mut Vec<String>) -> bool {
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

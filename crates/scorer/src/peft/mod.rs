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

mod patterns;
mod read;
mod support;

use pair2score_model::{LlamaConfig, Projection};
use regex::Regex;

use crate::names::{Factor, FactorKey};

pub(crate) use read::{parse_peft_config, read_peft_config};
use support::HEADS;

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::patterns::PatternOrder;
    use super::read::parse;
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
            (json!({"init_lora_weights": "loftq"}), "not in this folder; merge it with PEFT"),
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

//! Resolved settings back to the layout of the file, every default filled in, and key by key.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::choices::Head;
use super::scalar::Layers;
use super::section::{Role, Walk};
use super::settings::Settings;

/// The section of stage 1.
pub const STAGE1: &str = "stage1_relative";
/// The section of stage 2.
pub const STAGE2: &str = "stage2_absolute";

/// Keys of stage 1 that say which pairs count for what.
const PAIR_KEYS: [&str; 2] = ["stage1_relative.pair_weights", "stage1_relative.max_pairs"];

/// The key of stage 2 that says which labels there are, which choose the depth of both stages where that is asked for.
const LABELS_KEY: &str = "stage2_absolute.max_labels";

impl Settings {
    /// YAML that resolves to the same settings again.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.written()).unwrap_or_default()
    }

    /// As it is written: without the keys of several traits where there is one, and without that of one where there are
    /// several.
    fn written(&self) -> Value {
        // Strings, numbers and maps with text keys: nothing here can fail to serialise.
        let mut whole = serde_yaml::to_value(self).unwrap_or(Value::Null);
        for (section, key) in [("pipeline", "trait"), ("pipeline", "traits"), (STAGE2, "trait_weights")] {
            let section = whole.get_mut(section).and_then(Value::as_mapping_mut);
            let says_nothing =
                |value: &Value| value.is_null() || value.as_sequence().is_some_and(Vec::is_empty);
            if let Some(section) = section.filter(|section| section.get(key).is_some_and(says_nothing)) {
                section.shift_remove(key);
            }
        }
        whole
    }

    /// The same as dotted keys and values in one line each, for comparing.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let mut entries = BTreeMap::new();
        flatten(String::new(), &self.written(), &mut entries);
        // What the labels say is no setting.
        entries.retain(|key, _| !(self.scale.auto && ["scale.min", "scale.max"].contains(&key.as_str())));
        entries
    }

    /// Those of the [`entries`](Self::entries) that the results of a stage depend on; the stage is named by its
    /// section, [`STAGE1`] or [`STAGE2`]. Files are not among them: their contents count, not their names.
    pub fn compared(&self, section: &str) -> BTreeMap<String, String> {
        let keys = Walk::over(self).keys;
        let compared: Vec<&str> =
            keys.iter().filter(|key| key.role == Role::Same).map(|key| key.name.as_str()).collect();
        let judged = section == STAGE2 && self.absolute.head == Head::Joint;
        let read_by_labels = section == STAGE1 && self.model.layers == Some(Layers::Auto);
        let mut entries = self.entries();
        entries.retain(|name, _| {
            let of = name.split('.').next().unwrap_or_default();
            let shared = judged && PAIR_KEYS.contains(&name.as_str()) || read_by_labels && name == LABELS_KEY;
            let other_stage = [STAGE1, STAGE2].contains(&of) && of != section && !shared;
            !other_stage && compared.contains(&name.as_str())
        });
        entries
    }

    /// Keys that say something, but that nothing reads.
    pub fn without_effect(&self) -> Vec<String> {
        let defaults = Walk::of_defaults::<Self>().keys;
        let keys = Walk::over(self).keys.into_iter().zip(defaults);
        keys.filter(|(key, default)| key.role == Role::NoEffect && key.value != default.value)
            .map(|(key, _)| key.name)
            .collect()
    }
}

fn flatten(key: String, value: &Value, entries: &mut BTreeMap<String, String>) {
    match value {
        Value::Mapping(map) => {
            for (name, value) in map {
                let name = name.as_str().unwrap_or_default();
                let key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                flatten(key, value, entries);
            }
        }
        value => {
            let text = serde_yaml::to_string(value).unwrap_or_default();
            entries.insert(key, text.trim().replace('\n', " "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_become_dotted_names() {
        let mut entries = BTreeMap::new();
        let yaml = "a: {b: {c: 1.5, d: [x, y]}}\ne: null\n";
        flatten(String::new(), &serde_yaml::from_str(yaml).unwrap(), &mut entries);
        let expected = [("a.b.c", "1.5"), ("a.b.d", "- x - y"), ("e", "null")];
        assert_eq!(entries, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
}

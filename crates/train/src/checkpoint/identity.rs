//! What must be equal for a stage to go on where it was stopped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Everything that decides what a stage computes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Identity {
    /// Settings by key.
    pub settings: BTreeMap<String, String>,
    /// SHA-256 of every file that is read, by what users call the file.
    pub files: BTreeMap<String, String>,
    /// Name of the device.
    pub device: String,
}

/// In files an identity is one map: this key is the device.
const DEVICE: &str = "the device";
/// In files an identity is one map: the keys of files begin like this.
const FILE: &str = "file ";

impl From<Identity> for BTreeMap<String, String> {
    fn from(identity: Identity) -> Self {
        let Identity { mut settings, files, device } = identity;
        settings.insert(DEVICE.to_owned(), device);
        settings.extend(files.into_iter().map(|(name, hash)| (format!("{FILE}{name}"), hash)));
        settings
    }
}

impl From<BTreeMap<String, String>> for Identity {
    fn from(mut map: BTreeMap<String, String>) -> Self {
        let device = map.remove(DEVICE).unwrap_or_default();
        let (files, settings): (BTreeMap<_, _>, BTreeMap<_, _>) =
            map.into_iter().partition(|(key, _)| key.starts_with(FILE));
        let files = files.into_iter().map(|(key, hash)| (key[FILE.len()..].to_owned(), hash)).collect();
        Self { settings, files, device }
    }
}

impl Identity {
    /// How this identity differs from the one that was saved, in words; empty where they are equal.
    pub(super) fn differences(&self, saved: &Self) -> Vec<String> {
        let value = |map: &BTreeMap<String, String>, key: &str| {
            map.get(key).cloned().unwrap_or_else(|| "absent".into())
        };
        let was_and_is = |key: &str, was: &str, is: &str| format!("{key} was {was} and is {is}");
        let files = unequal(&saved.files, &self.files)
            .into_iter()
            .map(|name| format!("the file of {name} has changed"));
        let settings = unequal(&saved.settings, &self.settings)
            .into_iter()
            .map(|key| was_and_is(key, &value(&saved.settings, key), &value(&self.settings, key)));
        let device = (saved.device != self.device).then(|| was_and_is(DEVICE, &saved.device, &self.device));
        files.chain(settings).chain(device).collect()
    }
}

/// Keys that only one of the maps has, or whose values differ.
fn unequal<'a>(a: &'a BTreeMap<String, String>, b: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
    let keys = a.keys().chain(b.keys());
    keys.filter(|key| a.get(*key) != b.get(*key)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
        entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn identity() -> Identity {
        Identity {
            settings: map([("pipeline.seed", "36"), ("scale.max", "5")]),
            files: map([("paths.essays_csv", "abc")]),
            device: "cpu".into(),
        }
    }

    #[test]
    fn the_form_in_files_is_one_map_and_survives() {
        let json = serde_json::to_string(&identity()).unwrap();
        let expected =
            r#"{"file paths.essays_csv":"abc","pipeline.seed":"36","scale.max":"5","the device":"cpu"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Identity>(&json).unwrap(), identity());
    }

    #[test]
    fn every_difference_is_named() {
        let now = identity();
        assert_eq!(now.differences(&now), Vec::<String>::new());
        let saved = Identity {
            settings: map([("pipeline.seed", "1"), ("old.key", "x"), ("scale.max", "5")]),
            files: map([("paths.essays_csv", "abd"), ("model", "m")]),
            device: "cuda:0".into(),
        };
        let expected = [
            "the file of model has changed",
            "the file of paths.essays_csv has changed",
            "old.key was x and is absent",
            "pipeline.seed was 1 and is 36",
            "the device was cuda:0 and is cpu",
        ];
        assert_eq!(now.differences(&saved), expected);
    }
}

//! `rank_pattern` and `alpha_pattern`: numbers by regular expressions of modules, in the order of the file.

use regex::Regex;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The keys of both patterns in the order of the file, which a map of `serde_json` does not keep.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PatternOrder {
    pub(super) rank_pattern: Keys,
    pub(super) alpha_pattern: Keys,
}

#[derive(Debug, Default)]
pub(super) struct Keys(Vec<String>);

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
pub(super) fn pattern<T>(
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

pub(super) fn no_expression(place: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    format!(
        "{place} is no regular expression that is read here ({})",
        error.lines().last().unwrap_or_default()
    )
}

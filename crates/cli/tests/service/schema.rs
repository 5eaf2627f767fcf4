//! Answers against `/openapi.json`: as much of JSON Schema as the document uses.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::common::http::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../src/service/openapi.json")).unwrap());

/// An answer against what the document says of its route, status and kind of content.
pub fn check(method: &str, path: &str, answer: &Answer) {
    let route = path.split('?').next().unwrap();
    let operation = &DOCUMENT["paths"][route][method.to_lowercase()];
    if operation.is_null() {
        return;
    }
    let described = &operation["responses"][answer.status.to_string()];
    assert!(described.is_object(), "{method} {path}: {} is not described", answer.status);
    for header in described["headers"].as_object().into_iter().flat_map(Map::keys) {
        assert!(answer.headers.contains_key(&header.to_lowercase()), "{method} {path}: {header} is missing");
    }
    let kind = answer.headers["content-type"].split(';').next().unwrap();
    let schema = &described["content"][kind]["schema"];
    assert!(schema.is_object(), "{method} {path}: {kind} is not described for {}", answer.status);
    if kind == "application/json" {
        conforms(schema, &answer.json()).unwrap_or_else(|why| panic!("{method} {path}: {why}"));
    }
}

/// A value against a schema of this name.
pub fn check_line(schema: &str, line: &Value) {
    conforms(&DOCUMENT["components"]["schemas"][schema], line).unwrap_or_else(|why| panic!("{why}: {line}"));
}

/// Whether a value is what a schema says; the first thing that is not.
fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().ok_or("a schema is no object")? {
        let fits = match keyword.as_str() {
            "$ref" => {
                conforms(DOCUMENT.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value)?;
                true
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.is_u64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("{other} is no type"),
            },
            "const" => value == rule,
            "anyOf" => list(rule).iter().any(|one| conforms(one, value).is_ok()),
            "oneOf" => list(rule).iter().filter(|one| conforms(one, value).is_ok()).count() == 1,
            "required" => list(rule).iter().all(|name| {
                !value[name.as_str().unwrap()].is_null() || {
                    value.as_object().is_none_or(|object| object.contains_key(name.as_str().unwrap()))
                }
            }),
            "properties" => {
                for (name, property) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        conforms(property, value).map_err(|why| format!("{name}: {why}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name))
                {
                    match rule {
                        Value::Bool(false) => return Err(format!("{name} is not described")),
                        rule => conforms(rule, value).map_err(|why| format!("{name}: {why}"))?,
                    }
                }
                true
            }
            "items" => {
                for value in value.as_array().into_iter().flatten() {
                    conforms(rule, value)?;
                }
                true
            }
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "description" | "default" => true,
            other => panic!("{other} is a keyword that this does not know"),
        };
        if !fits {
            return Err(format!("{value} is not what {keyword} {rule} says"));
        }
    }
    Ok(())
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().unwrap()
}

#[test]
fn what_is_not_described_is_noticed() {
    let good = serde_json::json!({ "scores": {}, "tokens": 3, "tokens_read": 3, "truncated": false });
    let scored = &DOCUMENT["components"]["schemas"]["Scored"];
    assert_eq!(conforms(scored, &good), Ok(()));
    for (key, value) in [
        ("tokens", serde_json::json!(-1)),
        ("truncated", serde_json::json!("no")),
        ("extra", serde_json::json!(1)),
        ("scores", serde_json::json!({ "grammar": { "score": 1.0 } })),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(conforms(scored, &bad).is_err(), "{key}");
    }
    let mut missing = good.clone();
    missing.as_object_mut().unwrap().remove("tokens");
    assert!(conforms(scored, &missing).is_err());
}

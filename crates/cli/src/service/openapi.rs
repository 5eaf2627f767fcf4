//! The description of the service for programs.
//!
//! It is written by hand, as a file: what a client relies on then changes only where somebody means it to. A test holds
//! it to the routes, and every answer that tests get to its schemas.

use serde_json::{Value, json};

use super::scorers::About;

const DOCUMENT: &str = include_str!("openapi.json");

/// The document, with the names of these scorers, and with the key where one is asked for.
pub(super) fn document(scorers: &[&About], with_keys: bool) -> String {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("a test reads the document");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let parameter = &mut document["components"]["parameters"]["scorer"];
    parameter["schema"]["enum"] = scorers.iter().map(|scorer| scorer.name.as_str()).collect();
    parameter["required"] = (scorers.len() > 1).into();
    if !with_keys {
        for path in document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
            for operation in path.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
                operation["security"] = json!([]);
            }
        }
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::service::routes::routes;

    #[test]
    fn every_route_but_the_page_is_described_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let described: BTreeMap<&str, bool> = (document["paths"].as_object().unwrap().iter())
            .map(|(path, of)| {
                (path.as_str(), of.as_object().unwrap().values().all(|of| of["security"].is_null()))
            })
            .collect();
        let page = ["/", "/try.css", "/try.js"];
        let routes = routes().map(|(path, with_key, _)| (path, with_key));
        assert_eq!(described, routes.into_iter().filter(|(path, _)| !page.contains(path)).collect());
    }
}

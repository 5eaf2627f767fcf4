//! `config.json` of a backbone.

use std::path::Path;

use pair2score_scorer::{config_json, names, read_config};

use super::file;

pub(super) fn check(input: &[u8], folder: &Path) {
    let Ok(config) = read_config(&file(folder, "config.json", input)) else { return };
    // What loading does before it looks at a tensor.
    let expected = names::backbone(&config);
    let elements: usize = expected.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(elements, config.n_parameters());
    let again = file(folder, "config.json", config_json(&config, Some(0), None).as_bytes());
    assert_eq!(read_config(&again).expect("what we wrote can be read"), config);
}

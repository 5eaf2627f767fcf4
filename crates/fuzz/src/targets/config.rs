//! Configurations: YAML, and after a separator one `KEY=VALUE` of `--set` per line.

use std::path::Path;

use pair2score_train::config::{parse, parse_pretrain};

use super::SEPARATOR;

pub(super) fn check(input: &[u8], _folder: &Path) {
    // A file or an argument that is no text never comes as far as this.
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut parts = input.split(SEPARATOR);
    let yaml = parts.next().unwrap_or_default();
    let sets: Vec<String> = parts.flat_map(str::lines).map(str::to_owned).collect();
    let path = Path::new("config.yaml");
    if yaml.contains("pretrain") {
        let _ = parse_pretrain(yaml, path, &sets);
        return;
    }
    let Ok(settings) = parse(yaml, path, &sets) else { return };
    let written = settings.to_yaml();
    match parse(&written, path, &[]) {
        Ok(again) => assert_eq!(again, settings, "{written}"),
        Err(error) => panic!("{error}\n{written}"),
    }
}

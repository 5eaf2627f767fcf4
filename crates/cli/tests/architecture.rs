//! `docs/architecture.md` against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Graph = BTreeMap<String, BTreeSet<String>>;

const PREFIX: &str = "pair2score-";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Crate and its dependencies, row by row of the table in the document.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            (names(cells[1]).pop_first().unwrap(), names(cells[3]))
        })
        .collect()
}

/// The same from cargo, development dependencies left out.
fn actual() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = |value: &Value| value.as_str().and_then(|name| name.strip_prefix(PREFIX)).map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let dependencies = dependencies.filter(|d| d["kind"].is_null()).filter_map(|d| ours(&d["name"]));
            (ours(&package["name"]).unwrap(), dependencies.collect())
        })
        .collect()
}

#[test]
fn the_documented_arrows_are_the_real_ones() {
    assert_eq!(documented().into_iter().collect::<Graph>(), actual());
}

#[test]
fn arrows_point_down_only() {
    let mut above = BTreeSet::new();
    for (name, dependencies) in documented() {
        assert!(dependencies.is_subset(&above), "{name} depends on a crate below it");
        above.insert(name);
    }
}

#[test]
fn the_dev_profile_names_every_crate() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in actual().keys() {
        let profile = format!("\n{PREFIX}{name} = {{ opt-level = ");
        assert!(workspace.contains(&profile), "{name} has the profile of dependencies");
    }
}

#[test]
fn burn_is_pinned_and_its_fusion_and_autotune_stay_off() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let burn = workspace.lines().find(|line| line.starts_with("burn = ")).unwrap();
    assert!(burn.contains("\"=0.21.0\"") && burn.contains("default-features = false"), "{burn}");
    for name in actual().keys() {
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(!manifest.contains("fusion") && !manifest.contains("autotune"), "{name}");
    }
}

//! Runs in rows: one setup over its folds, for each trait.

use std::collections::{BTreeMap, BTreeSet};

use pair2score_train::sweep::SETTING;

use crate::run::{EPOCHS, PAIRS, Run, Setup, Subject};
use crate::table::Cells;

/// The runs of one setup.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// What tells it apart from the other rows.
    pub(crate) name: String,
    pub(crate) setup: &'a Setup,
    /// By trait, in the order of folds.
    pub(crate) runs: BTreeMap<Subject<'a>, Vec<&'a Run>>,
}

/// Rows in the order of the published table, and what to say about runs in none. Of two runs of one setup, trait and fold
/// the later folder counts.
pub(crate) fn rows(runs: &[Run]) -> (Vec<Row<'_>>, Vec<String>) {
    let mut by_setup: BTreeMap<&Setup, BTreeMap<(Subject<'_>, &str), &Run>> = BTreeMap::new();
    let mut notes = Vec::new();
    for run in runs {
        let of_setup = by_setup.entry(&run.setup).or_default();
        if let Some(other) = of_setup.insert((run.subject(), &run.fold), run) {
            notes.push(format!(
                "{}, fold {}: {} is left out, as {} is of the same setting and comes later",
                run.target,
                run.fold,
                other.folder.display(),
                run.folder.display()
            ));
        }
    }
    let setups: Vec<&Setup> = by_setup.keys().copied().collect();
    let mut rows: Vec<Row<'_>> = by_setup
        .into_iter()
        .map(|(setup, found)| {
            let mut runs: BTreeMap<Subject<'_>, Vec<&Run>> = BTreeMap::new();
            for ((subject, _), run) in found {
                runs.entry(subject).or_default().push(run);
            }
            Row { name: name(setup, &setups), setup, runs }
        })
        .collect();
    // Published: small before large pairs, ten epochs before one.
    let epochs = |setup: &Setup| setup.keys.get(EPOCHS).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    rows.sort_by_key(|row| {
        let large = row.setup.keys.get(PAIRS).is_some_and(|name| name.contains("large"));
        (row.setup.rank, large, std::cmp::Reverse(epochs(row.setup)))
    });
    (rows, notes)
}

/// The transfer, and as few values as tell the setups of this transfer apart.
fn name(setup: &Setup, all: &[&Setup]) -> String {
    let same: Vec<&Setup> = all.iter().filter(|other| other.transfer == setup.transfer).copied().collect();
    let values = telling(&same).into_iter().filter_map(|key| Some((key, setup.keys.get(key)?)));
    let parts: Vec<String> = values.map(|(key, value)| words(key, value)).collect();
    [vec![setup.transfer.clone()], parts].concat().join(", ")
}

/// Few keys whose values are different for every setup: those that tell the most apart first, in the published order
/// where they tell as much.
fn telling<'s>(setups: &[&'s Setup]) -> Vec<&'s str> {
    let first = [PAIRS, EPOCHS, SETTING, "stage2_absolute.objective", "backbone"];
    let rank = |key: &str| first.iter().position(|other| *other == key).unwrap_or(first.len());
    let mut candidates: Vec<&str> = differing(setups).into_iter().collect();
    candidates.sort_by_key(|key| rank(key));
    let told = |keys: &[&str]| {
        let values = |setup: &&'s Setup| keys.iter().map(|key| setup.keys.get(*key)).collect::<Vec<_>>();
        setups.iter().map(values).collect::<BTreeSet<_>>().len()
    };
    let mut chosen: Vec<&str> = Vec::new();
    while told(&chosen) < setups.len() {
        let with = |key: &&str| told(&[chosen.as_slice(), &[*key]].concat());
        // The last of equals is taken, so the first comes last.
        match candidates.iter().rev().copied().max_by_key(|key| with(key)) {
            Some(key) if with(&key) > told(&chosen) => chosen.push(key),
            _ => break,
        }
    }
    chosen.sort_by_key(|key| rank(key));
    chosen
}

/// Keys in which setups that have them differ.
fn differing<'s>(setups: &[&'s Setup]) -> BTreeSet<&'s str> {
    let keys: BTreeSet<&str> =
        setups.iter().flat_map(|setup| setup.keys.keys()).map(String::as_str).collect();
    let differs = |key: &&str| {
        let values: BTreeSet<&String> = setups.iter().filter_map(|setup| setup.keys.get(*key)).collect();
        values.len() > 1
    };
    keys.into_iter().filter(differs).collect()
}

/// All settings in which rows differ, whether their names say so or not; `None` where there are none.
pub(crate) fn settings(rows: &[Row<'_>]) -> Option<Cells> {
    let setups: Vec<&Setup> = rows.iter().map(|row| row.setup).collect();
    let keys: Vec<&str> = differing(&setups).into_iter().collect();
    let mut cells = Cells::new(&[&["setting"], keys.as_slice()].concat());
    for row in rows {
        let value = |key: &&str| row.setup.keys.get(*key).cloned().unwrap_or_else(|| "–".into());
        cells.push([vec![row.name.clone()], keys.iter().map(value).collect()].concat());
    }
    (!keys.is_empty()).then_some(cells)
}

/// A setting in a few words: those that are clear alone, else the key and its value.
fn words(key: &str, value: &str) -> String {
    let stage = match key.split('.').next() {
        Some("stage1_relative") => "stage 1 ",
        Some("stage2_absolute") => "stage 2 ",
        _ => "",
    };
    let last = key.rsplit('.').next().unwrap_or(key);
    match (key, last) {
        (PAIRS | SETTING | "backbone", _) | (_, "objective") => value.to_owned(),
        (_, "epochs") => format!("{stage}{value} {}", if value == "1" { "epoch" } else { "epochs" }),
        _ => format!("{stage}{} {value}", last.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(rank: usize, transfer: &str, keys: &[(&str, &str)]) -> Setup {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Setup { rank, transfer: transfer.into(), keys }
    }

    #[test]
    fn names_say_only_what_differs() {
        let baseline = setup(2, "scratch", &[("model.max_length", "512")]);
        let small = setup(3, "warm start", &[("model.max_length", "256"), (PAIRS, "small"), (EPOCHS, "10")]);
        let large = setup(3, "warm start", &[("model.max_length", "256"), (PAIRS, "large"), (EPOCHS, "1")]);
        let all = [&baseline, &small, &large];
        assert_eq!(name(&baseline, &all), "scratch");
        assert_eq!(name(&small, &all), "warm start, small");
        let short = setup(3, "warm start", &[("model.max_length", "256"), (PAIRS, "large"), (EPOCHS, "10")]);
        let all_four = [&baseline, &small, &large, &short];
        assert_eq!(name(&small, &all_four), "warm start, small, stage 1 10 epochs");
        assert_eq!(name(&large, &all_four), "warm start, large, stage 1 1 epoch");
        assert_eq!(name(&small, &[&baseline, &small]), "warm start");
        assert_eq!(differing(&all).into_iter().collect::<Vec<_>>(), ["model.max_length", PAIRS, EPOCHS]);
    }

    #[test]
    fn settings_in_words() {
        assert_eq!(words("stage2_absolute.objective", "ordinal"), "ordinal");
        assert_eq!(words("stage2_absolute.training.lr", "0.001"), "stage 2 lr 0.001");
        assert_eq!(words("model.max_length", "128"), "max length 128");
    }
}

//! The published values, from `data/published.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::run::{EPOCHS, PAIRS, Setup};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    /// Where the values are from.
    pub(crate) source: String,
    pub(crate) backbone: String,
    /// What is to be known when they are compared with ours.
    pub(crate) note: String,
    rows: Vec<Row>,
    pub(crate) human_agreement: HumanAgreement,
}

/// Kappa between people, by trait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HumanAgreement {
    pub(crate) source: String,
    pub(crate) qwk: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    transfer: String,
    pairs: Option<String>,
    epochs: Option<usize>,
    qwk: BTreeMap<String, f64>,
}

impl Published {
    pub(crate) fn read() -> Self {
        serde_json::from_str(include_str!("../../../data/published.json")).expect("a test reads this file")
    }

    /// The published kappa of a setup for a trait: the same kind of transfer, size of pairs and epochs of stage 1,
    /// whether our adapter trains or not.
    pub(crate) fn qwk(&self, setup: &Setup, target: &str) -> Option<f64> {
        let kind = setup.transfer.split(',').next().unwrap_or_default();
        let (pairs, epochs) = (setup.keys.get(PAIRS), setup.keys.get(EPOCHS));
        let row = self.rows.iter().find(|row| {
            row.transfer == kind
                && row.pairs.as_ref().is_none_or(|size| pairs.is_some_and(|name| name.contains(size)))
                && row.epochs.is_none_or(|n| epochs.is_some_and(|epochs| *epochs == n.to_string()))
        })?;
        row.qwk.get(target).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(transfer: &str, keys: &[(&str, &str)]) -> Setup {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Setup { rank: 0, transfer: transfer.into(), keys }
    }

    #[test]
    fn a_setup_finds_its_published_row() {
        let published = Published::read();
        assert_eq!(published.qwk(&setup("scratch", &[]), "grammar"), Some(0.6789));
        let fusion = setup("fusion, frozen adapter", &[(PAIRS, "small"), (EPOCHS, "1")]);
        assert_eq!(published.qwk(&fusion, "vocabulary"), Some(0.6197));
        for other in [
            setup("fusion", &[(PAIRS, "mini"), (EPOCHS, "1")]),
            setup("fusion", &[(PAIRS, "small"), (EPOCHS, "3")]),
            setup("stacked", &[(PAIRS, "small"), (EPOCHS, "1")]),
            setup("fusion", &[]),
        ] {
            assert_eq!(published.qwk(&other, "grammar"), None, "{other:?}");
        }
        assert_eq!(published.qwk(&setup("scratch", &[]), "cohesion"), None);
    }
}

//! What the CSV of the documents says beyond scores: lengths, and the groups that writers belong to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use pair2score_data::{Layout, ScoreScale, Table};

use crate::ReportError;
use crate::run::file;

/// A column is taken for a group when it has at most this many values.
const MOST_GROUPS: usize = 20;

/// By id.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// Words between blanks.
    pub(crate) words: HashMap<String, usize>,
    /// Value of each group column, where there is one.
    pub(crate) groups: BTreeMap<String, HashMap<String, String>>,
}

impl Documents {
    /// Reads a CSV file of documents. Group columns are those named, else those that look like it: text, or numbers that
    /// are no labels of the scale, with 2 to 20 values.
    ///
    /// # Errors
    /// When the file is damaged or a column is missing.
    pub(crate) fn read(
        path: &Path,
        layout: &Layout,
        scale: &ScoreScale,
        named: &[String],
    ) -> Result<Self, ReportError> {
        let table = Table::read(path, &layout.table)?;
        let columns = &layout.columns;
        let remedy = "name the right file with --documents";
        let id = table.require_column(&columns.id, "id", remedy)?;
        let text = table.require_column(&columns.text, "text", remedy)?;
        let fold = table.column(&columns.fold);
        let words = |record: &pair2score_data::Record| {
            (record.fields[id].trim().to_owned(), record.fields[text].split_whitespace().count())
        };
        let mut documents = Self { words: table.records.iter().map(words).collect(), ..Self::default() };
        for name in named {
            if table.column(name).is_none() {
                let what = format!("no column {name:?}; its columns are {}", table.header.join(", "));
                return Err(file(path, what, "correct --group"));
            }
        }
        for (place, name) in table.header.iter().enumerate() {
            let values = || table.records.iter().map(move |record| record.fields[place].trim());
            let wanted = match named.is_empty() {
                false => named.iter().any(|wanted| wanted.trim() == name.trim()),
                true => {
                    ![Some(id), Some(text), fold].contains(&Some(place)) && looks_like_groups(values(), scale)
                }
            };
            if wanted {
                let ids = table.records.iter().map(|record| record.fields[id].trim().to_owned());
                let values = ids.zip(values().map(str::to_owned)).filter(|(_, value)| !value.is_empty());
                documents.groups.insert(name.trim().to_owned(), values.collect());
            }
        }
        Ok(documents)
    }
}

/// Few values that come back, and not all of them grades.
fn looks_like_groups<'a>(values: impl Iterator<Item = &'a str>, scale: &ScoreScale) -> bool {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    let distinct: BTreeSet<&str> = values.iter().copied().collect();
    let is_label = |value: &&str| value.parse().is_ok_and(|number| scale.label(number).is_some());
    (2..=MOST_GROUPS).contains(&distinct.len())
        && values.len() >= 2 * distinct.len()
        && !distinct.iter().all(is_label)
        // Averages of grades and the like.
        && !distinct.iter().any(|value| value.contains('.') && value.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_from_grades_and_texts() {
        let scale = ScoreScale::default();
        let of = |values: &[&str]| looks_like_groups(values.iter().copied(), &scale);
        assert!(of(&["f", "m", "f", "m"]));
        assert!(of(&["8", "12", "8", "12"]));
        assert!(!of(&["1.0", "2.5", "1.0", "2.5"]), "grades");
        assert!(!of(&["3.17", "2.5", "3.17", "2.5"]), "averages of grades");
        assert!(!of(&["a", "b", "c", "d"]), "nothing comes back");
        assert!(!of(&["a", "a", "", "a"]), "one group");
    }
}

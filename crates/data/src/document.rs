//! Documents: what a scorer reads, with the fold and the label that a file may give.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::columns::Columns;
use crate::ending;
use crate::error::{DataError, Result};
use crate::table::{LONGEST_ROW, TableOptions};

/// How documents lie in a file: which columns hold what, and how a table is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The columns, or the keys of JSON objects.
    pub columns: Columns,
    /// What the file does not say itself.
    pub table: TableOptions,
}

impl From<&Columns> for Layout {
    /// These columns in a file that says the rest itself.
    fn from(columns: &Columns) -> Self {
        Self { columns: columns.clone(), table: TableOptions::default() }
    }
}

/// One document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// Unique within its set, not empty.
    pub id: String,
    /// The text as the file has it; may be blank.
    pub text: String,
    /// The task or question that the text answers; empty where the columns name none.
    pub prompt: String,
    /// The fold, where the file gives one; not empty.
    pub fold: Option<String>,
    /// The gold value in score units, where the file gives one; on the scale.
    pub label: Option<f64>,
    /// The standard error of the label, where the file gives both; above 0.
    pub label_se: Option<f64>,
    /// A second rating in score units, where the file gives one; on the scale.
    pub second_rating: Option<f64>,
    /// Where it was read: the row as a spreadsheet shows it (the header is 1), the line of a JSONL file.
    pub row: usize,
}

impl Document {
    /// # Errors
    /// A text that is longer than any row may be; names the row.
    pub(crate) fn check_size(&self, path: &Path) -> Result<()> {
        if self.text.len().saturating_add(self.prompt.len()) <= LONGEST_ROW {
            return Ok(());
        }
        let what = format!("the text of document \"{}\" is longer than {} MiB", self.id, LONGEST_ROW >> 20);
        Err(DataError::row(path, self.row, what, "shorten it, or divide it into documents"))
    }
}

/// The documents of one file, in file order; at least one.
#[derive(Debug, Clone)]
pub struct DocumentSet {
    /// The documents, in file order.
    pub documents: Vec<Document>,
    /// The file they came from, for messages.
    pub path: PathBuf,
    /// The rows whose text is blank.
    pub empty: Vec<usize>,
    places: HashMap<String, usize>,
}

impl DocumentSet {
    /// Gathers documents; `path` is only named in messages.
    ///
    /// # Errors
    /// An empty id, or one used twice, and a text of more than 64 MiB; names the rows.
    pub fn new(path: impl Into<PathBuf>, documents: Vec<Document>) -> Result<Self> {
        let path = path.into();
        let mut ids = UniqueIds::default();
        for document in &documents {
            ids.add(&path, document.row, &document.id)?;
            document.check_size(&path)?;
        }
        let blank = |document: &&Document| document.text.trim().is_empty();
        let empty = documents.iter().filter(blank).map(|document| document.row).collect();
        let places =
            documents.iter().enumerate().map(|(place, document)| (document.id.clone(), place)).collect();
        Ok(Self { documents, path, empty, places })
    }

    /// The place of the document called `id`.
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The document called `id`.
    pub fn get(&self, id: &str) -> Option<&Document> {
        self.index_of(id).map(|place| &self.documents[place])
    }

    /// How many documents have no label.
    pub fn n_unlabelled(&self) -> usize {
        self.documents.iter().filter(|document| document.label.is_none()).count()
    }

    /// Refuses documents without a label.
    ///
    /// # Errors
    /// Names the first one.
    pub fn require_labels(&self) -> Result<()> {
        match self.documents.iter().find(|document| document.label.is_none()) {
            None => Ok(()),
            Some(Document { id, row, .. }) => Err(DataError::row(
                &self.path,
                *row,
                format!("document \"{id}\" has no label, and labels are required"),
                "give it one, or do not require labels",
            )),
        }
    }

    /// The ids, in file order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.id.as_str())
    }

    /// The documents, in file order.
    pub fn iter(&self) -> std::slice::Iter<'_, Document> {
        self.documents.iter()
    }

    /// The number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are no documents; never after reading a file.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The folds that occur, sorted.
    pub fn folds(&self) -> BTreeSet<&str> {
        self.documents.iter().filter_map(|document| document.fold.as_deref()).collect()
    }

    /// The places of the documents in one of `folds`, ascending.
    ///
    /// # Errors
    /// A fold that does not occur; lists those that do.
    pub fn in_folds(&self, folds: &[String]) -> Result<Vec<usize>> {
        let known = self.folds();
        if let Some(fold) = folds.iter().find(|fold| !known.contains(fold.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let what = match known.as_str() {
                "" => format!("no fold \"{fold}\"; it has no folds at all"),
                known => format!("no fold \"{fold}\"; its folds are {known}"),
            };
            return Err(DataError::file(&self.path, what, "name folds that occur"));
        }
        let chosen = |place: &usize| {
            let fold = self.documents[*place].fold.as_ref();
            fold.is_some_and(|fold| folds.contains(fold))
        };
        Ok((0..self.len()).filter(chosen).collect())
    }
}

impl<'a> IntoIterator for &'a DocumentSet {
    type Item = &'a Document;
    type IntoIter = std::slice::Iter<'a, Document>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Refuses ids that are empty or were seen before, in some 40 bytes per id.
#[derive(Debug, Default)]
pub(crate) struct UniqueIds {
    /// The row of every id, by a hash of it.
    rows: HashMap<[u64; 2], u64>,
}

impl UniqueIds {
    /// # Errors
    /// An empty id, or one that an earlier row has; names both rows.
    pub fn add(&mut self, path: &Path, row: usize, id: &str) -> Result<()> {
        if id.is_empty() {
            return Err(DataError::row(path, row, "the id is empty", "give every document an id"));
        }
        match self.rows.insert(hash(id), row as u64) {
            None => Ok(()),
            Some(first) => Err(DataError::row(
                path,
                row,
                format!("id \"{id}\" is already used in {} {first}", ending::place(path)),
                "give every document its own id",
            )),
        }
    }
}

/// 128 bits: of a billion ids, two have the same with a probability below 10⁻²⁰.
fn hash(id: &str) -> [u64; 2] {
    [0u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        hasher.finish()
    })
}

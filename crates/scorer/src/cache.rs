//! Embeddings that were computed before, kept by what decides them.
//!
//! The one key decision: nothing is kept under a name. A file holds the embeddings of one computation, which is the
//! SHA-256 of everything that decides what a text comes to: the weights that run, the adapters on them, where their
//! hidden states are read, pooling and device. A row is found by the token ids of its document. So a backbone that was
//! trained on, a text that was mended or another length is not found, and there is nothing to declare out of date.
//!
//! A file only grows, a whole group of documents at a time, under a lock: several processes share a folder, and one
//! that is killed leaves at most a group that is cut short, which the next one cuts off. So what is missing after a kill
//! are whole groups, which come to the same bits when they are computed. Every row has a check sum; one that does not fit
//! is computed again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pair2score_data::lock::{lock, lock_shared};
use sha2::{Digest, Sha256};

use crate::error::ScorerError;

/// What a file begins with; its number changes with the layout, and when the same weights come to other numbers.
const MAGIC: &[u8; 32] = b"pair2score embeddings, format 2\n";

/// What the names of its files end with.
const EXTENSION: &str = "embeddings";

/// Bytes of a SHA-256.
const HASH: usize = 32;

/// Bytes of the number of rows that follow in the group.
const COUNT: usize = 4;

/// Bytes of the check sum after a row.
const CHECK: usize = 8;

/// What decides a row, by its SHA-256.
pub(crate) type Key = [u8; HASH];

/// A folder of embeddings.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    folder: PathBuf,
}

impl EmbeddingCache {
    /// The cache of this folder, which is made when the first embedding is kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Whether a file is named as those of a cache are, which change while a scorer stays what it is.
    pub fn is_file_of_one(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == EXTENSION)
    }

    /// What is kept of the embeddings of a computation.
    ///
    /// # Errors
    /// When the file cannot be read, or is none of ours.
    pub(crate) fn of_computation(
        &self,
        computation: Key,
        width: usize,
    ) -> Result<KeptEmbeddings, ScorerError> {
        // Of this layout: an older program's files stay beside them, for that program.
        let named = Sha256::new().chain_update(MAGIC).chain_update(computation).finalize();
        let name = format!("{}.{EXTENSION}", hex(&named[..8]));
        KeptEmbeddings::open(self.folder.join(name), computation, width)
    }
}

/// The embeddings of one computation.
#[derive(Debug)]
pub struct KeptEmbeddings {
    path: PathBuf,
    computation: Key,
    width: usize,
    /// Of each document, the number of its row.
    places: HashMap<Key, u64>,
    /// Bytes of the file that `places` knows: up to the end of a group.
    read: u64,
}

impl KeptEmbeddings {
    fn open(path: PathBuf, computation: Key, width: usize) -> Result<Self, ScorerError> {
        let mut kept = Self { path, computation, width, places: HashMap::new(), read: 0 };
        match File::open(&kept.path) {
            Ok(file) => {
                lock_shared(&file).map_err(ScorerError::io(&kept.path))?;
                kept.read_new(&file)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(ScorerError::io(&kept.path)(error)),
        }
        Ok(kept)
    }

    /// What every file of this computation begins with.
    fn header(&self) -> Vec<u8> {
        let width = u64::try_from(self.width).expect("a width is small");
        [MAGIC.as_slice(), &self.computation, &width.to_le_bytes()].concat()
    }

    /// Bytes of a row: the document, how many rows follow in its group, its values, the check sum of all that.
    fn row_bytes(&self) -> u64 {
        (HASH + COUNT + 4 * self.width + CHECK) as u64
    }

    /// Reads which rows came since the last look; the caller holds a lock.
    fn read_new(&mut self, file: &File) -> Result<(), ScorerError> {
        let (header, row) = (self.header(), self.row_bytes());
        let io = |error| ScorerError::io(&self.path)(error);
        let length = file.metadata().map_err(io)?.len();
        if length < self.read {
            // It was deleted or cut since the last look.
            self.places.clear();
            self.read = 0;
        }
        let mut reader = BufReader::new(file);
        if self.read == 0 {
            reader.seek(SeekFrom::Start(0)).map_err(io)?;
            let mut found = Vec::new();
            (&mut reader).take(header.len() as u64).read_to_end(&mut found).map_err(io)?;
            if !header.starts_with(&found) {
                let problem = "is not a file of embeddings of this version; remove it, or name another cache";
                return Err(ScorerError::invalid(&self.path, problem));
            }
            if found.len() < header.len() {
                return Ok(());
            }
            self.read = header.len() as u64;
        }
        reader.seek(SeekFrom::Start(self.read)).map_err(io)?;
        let mut place = (self.read - header.len() as u64) / row;
        let (mut key, mut following) = ([0; HASH], [0; COUNT]);
        let mut group = Vec::new();
        while header.len() as u64 + (place + 1) * row <= length {
            reader.read_exact(&mut key).map_err(io)?;
            reader.read_exact(&mut following).map_err(io)?;
            reader.seek_relative(row as i64 - (HASH + COUNT) as i64).map_err(io)?;
            group.push((key, place));
            place += 1;
            if u32::from_le_bytes(following) == 0 {
                self.places.extend(group.drain(..));
                self.read = header.len() as u64 + place * row;
            }
        }
        Ok(())
    }

    /// The rows of documents, with those that came since the last look: from another process, or from the other stage
    /// of a scorer where both come to the same embeddings. `None` where there is none, or it was damaged or deleted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn rows(&mut self, documents: &[&[u32]]) -> Result<Vec<Option<Vec<f32>>>, ScorerError> {
        let mut file = match File::open(&self.path) {
            // Nothing was kept yet, or it was deleted since the last look.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![None; documents.len()]),
            opened => opened.map_err(ScorerError::io(&self.path))?,
        };
        lock_shared(&file).map_err(ScorerError::io(&self.path))?;
        self.read_new(&file)?;
        let io = |error| ScorerError::io(&self.path)(error);
        let (start, row) = (self.header().len() as u64, self.row_bytes());
        let mut bytes = vec![0; usize::try_from(row).expect("a row is small")];
        let rows = documents.iter().map(|ids| {
            let key = document(ids);
            let Some(&place) = self.places.get(&key) else { return Ok(None) };
            file.seek(SeekFrom::Start(start + place * row))?;
            match file.read_exact(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            let (content, sum) = bytes.split_at(bytes.len() - CHECK);
            let is_whole = content.starts_with(&key) && check(content) == sum;
            Ok(is_whole.then(|| values(&content[HASH + COUNT..])))
        });
        rows.collect::<Result<_, std::io::Error>>().map_err(io)
    }

    /// Keeps the embeddings of a group of documents, all or none; not those that another has kept since the last look.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn add(&mut self, rows: &[(&[u32], Vec<f32>)]) -> Result<(), ScorerError> {
        // A row that was damaged has a place, and is kept again.
        let rows = rows.iter().map(|(ids, values)| (document(ids), values));
        let rows: Vec<_> = rows.map(|(key, values)| (key, values, self.places.get(&key).copied())).collect();
        let path = self.path.clone();
        let io = |error| ScorerError::io(&path)(error);
        std::fs::create_dir_all(path.parent().expect("it is in the folder of the cache")).map_err(io)?;
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        lock(&file).map_err(io)?;
        self.read_new(&file)?;
        if self.read == 0 {
            let header = self.header();
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(io)?;
            file.write_all(&header).map_err(io)?;
            self.read = header.len() as u64;
        }
        let is_new = |key: &Key, before: Option<u64>| {
            let now = self.places.get(key).copied();
            now.is_none() || now == before
        };
        let new: Vec<_> = rows.iter().filter(|(key, _, before)| is_new(key, *before)).collect();
        let mut bytes: Vec<u8> = Vec::new();
        for (following, (key, values, _)) in (0..new.len()).rev().zip(new) {
            assert_eq!(values.len(), self.width, "a row is one embedding");
            let start = bytes.len();
            bytes.extend(key);
            bytes.extend(u32::try_from(following).expect("a group is small").to_le_bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes.extend(check(&bytes[start..]));
        }
        // What a process that was killed has left of a group.
        file.set_len(self.read).and_then(|()| file.seek(SeekFrom::Start(self.read))).map_err(io)?;
        file.write_all(&bytes).map_err(io)?;
        self.read_new(&file)
    }
}

/// What a row is found by.
fn document(ids: &[u32]) -> Key {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.to_le_bytes());
    }
    hash.finalize().into()
}

/// The check sum of a row.
fn check(content: &[u8]) -> [u8; CHECK] {
    *Sha256::digest(content).first_chunk().expect("a hash is longer")
}

/// Values in little-endian order.
fn values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Which rows are to be scored, into which file, and how far that went.
//!
//! The key decision: what was scored before is known by its content. The state holds a hash of the documents that were
//! scored, and going on reads them again and compares, which costs little beside scoring. So a row may be mended
//! and the work before it stays, and no work counts for a file that was replaced.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use pair2score_data::files::{read_text, sha256, write_atomic};
use pair2score_data::{DataError, Document, Layout, count_texts, stream_texts};
use pair2score_export::Quantization;
use pair2score_scorer::{BackboneFolder, EmbeddingCache, ScorerSettings, find_scorer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::is_parquet;
use super::output::Output;
use super::rows::Row;
use super::shard::Shard;
use crate::destination::Destination;

/// What a command asks for.
pub(crate) struct Request<'a> {
    pub(crate) input: &'a Path,
    pub(crate) layout: &'a Layout,
    pub(crate) scorer: &'a Path,
    /// The name of the device that computes.
    pub(crate) device: &'a str,
    /// A file, of which a shard has its own, or standard output.
    pub(crate) output: &'a Path,
    pub(crate) shard: Option<Shard>,
    pub(crate) resume: bool,
    /// Documents that are read and scored at once.
    pub(crate) window: u32,
    pub(crate) calibrated: bool,
    pub(crate) intervals: bool,
    pub(crate) quantize: Option<Quantization>,
    /// Whether the CSV is for a spreadsheet.
    pub(crate) spreadsheet: bool,
}

/// What is to be scored.
pub(crate) struct Job<'a> {
    request: Request<'a>,
    /// Where the scores go.
    pub(crate) output: Destination,
    /// The rows of the input: the first, and one past the last; `None` for all.
    rows: Option<(u64, u64)>,
    /// What must be the same to go on, the documents aside.
    identity: String,
}

/// Tokens below which a text says hardly anything about its writer. Counted in tokens, because not every language puts
/// blanks between words.
pub(crate) const SHORT: usize = 24;

/// How far a job went. Written beside its output, where it stays as the mark that the output is whole.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    identity: String,
    /// The name of the device that computed.
    device: String,
    /// Documents that were scored at once; 0 where an older program did not say.
    #[serde(default)]
    window: u32,
    /// All documents of the job are scored, and the output has its name.
    finished: bool,
    /// Documents scored.
    pub(crate) documents: u64,
    /// Those longer than the scorer reads.
    pub(crate) truncated: u64,
    /// Those without text.
    pub(crate) empty: u64,
    /// Others of fewer than [`SHORT`] tokens.
    #[serde(default)]
    pub(crate) short: u64,
    /// Bytes of the output so far.
    pub(crate) bytes: u64,
    /// The documents scored, as they were read.
    texts: Texts,
    /// SHA-256 of the finished output, in hexadecimal.
    output_sha256: Option<String>,
}

impl<'a> Job<'a> {
    /// A job; of a shard, its rows are counted.
    ///
    /// # Errors
    /// When the input or the scorer cannot be read, or the output would destroy something.
    pub(crate) fn new(request: Request<'a>) -> Result<Self> {
        let Request { input, layout, scorer, output, shard, resume, spreadsheet, .. } = request;
        if spreadsheet && is_parquet(output) {
            bail!("{}: --spreadsheet is about CSV; leave it out, or write a .csv file", output.display());
        }
        let scorer_files = ScorerFiles::find(scorer)?;
        let mut reads = vec![input, scorer];
        reads.extend(scorer_files.backbone.as_deref());
        let output = shard.map_or_else(|| output.to_owned(), |shard| shard.name(output));
        let output = Destination::new(&output, &reads)?;
        let keeps_state = shard.is_some() || resume;
        if keeps_state && output == Destination::Stdout {
            bail!("--shard and --resume need a file that stays; name one with --output");
        }
        let rows = shard.map(|shard| Ok::<_, anyhow::Error>(shard.rows(count_texts(input, layout)?)));
        let rows = rows.transpose()?;
        let identity = match keeps_state {
            true => {
                let Request { calibrated, intervals, quantize, .. } = request;
                scorer_files.identity(&format!(
                    "{rows:?}\n{calibrated}\n{intervals}\n{quantize:?}\n{spreadsheet}\n"
                ))?
            }
            false => String::new(),
        };
        Ok(Self { request, output, rows, identity })
    }

    /// Whether a state is written beside the output, and with it what is written before an error stays.
    fn keeps_state(&self) -> bool {
        self.request.shard.is_some() || self.request.resume
    }

    /// The folder of the scorer, as the command names it.
    pub(crate) fn scorer(&self) -> &Path {
        self.request.scorer
    }

    /// How many documents there are to score; `None` where that was not counted.
    pub(crate) fn total(&self) -> Option<u64> {
        self.rows.map(|(first, end)| end - first)
    }

    /// Takes the place of the output, so that no other process writes there.
    ///
    /// # Errors
    /// When another one does, or writing is not allowed.
    pub(crate) fn take_output(&self) -> Result<Output> {
        Output::take(&self.output, self.keeps_state(), self.request.spreadsheet)
    }

    /// Where the job was left; the start where it is new.
    ///
    /// # Errors
    /// When the state is that of another scorer, or what is left would be computed on another device or in other windows.
    pub(crate) fn state(&self, output: &Output) -> Result<State> {
        let Request { device, window, .. } = self.request;
        let identity = self.identity.clone();
        let fresh = State { identity, device: device.to_owned(), window, ..State::default() };
        let Some((path, file)) = self.state_path() else { return Ok(fresh) };
        if !self.request.resume || !path.is_file() {
            return Ok(fresh);
        }
        let state: State = serde_json::from_str(&read_text(&path)?).with_context(|| {
            format!("{}: is damaged; remove it, or start over without --resume", path.display())
        })?;
        if state.identity != self.identity {
            return Err(self.other("scorer"));
        }
        let there = match &state.output_sha256 {
            Some(hash) => state.finished && sha256(&file).is_ok_and(|found| found == *hash),
            None => !state.finished && output.left() >= state.bytes,
        };
        // Devices round differently, and so do windows; one file has the scores of one. Which that is, is the same for a file
        // that is whole.
        if there && !state.finished {
            let was = [
                ("device", &*state.device, device),
                ("--window", &state.window.to_string(), &window.to_string()),
            ];
            if let Some((what, was, is)) = was.into_iter().find(|(_, was, is)| was != is) {
                bail!(
                    "{}: the {what} was {was} and is {is}; undo that to go on with it, or start over without --resume",
                    self.output
                );
            }
        }
        Ok(if there { state } else { fresh })
    }

    /// The documents that are still to be scored, after a look at those that were.
    ///
    /// # Errors
    /// When the input cannot be read, or those that were scored are others now.
    pub(crate) fn documents(
        &self,
        state: &State,
    ) -> Result<impl Iterator<Item = Result<Document, DataError>> + use<>> {
        let (first, end) = self.rows.unwrap_or((0, u64::MAX));
        let left = usize::try_from(end - first).unwrap_or(usize::MAX);
        let mut documents = stream_texts(self.request.input, self.request.layout, first)?.take(left);
        let mut texts = Texts::default();
        for _ in 0..state.documents {
            match documents.next() {
                Some(document) => texts.add(&document?),
                None => return Err(self.other("input")),
            }
        }
        if texts != state.texts {
            return Err(self.other("input"));
        }
        if state.finished && documents.next().transpose()?.is_some() {
            return Err(self.other("input"));
        }
        Ok(documents)
    }

    /// Checks, once there are no more documents, that these were as many as were counted.
    ///
    /// # Errors
    /// When the input has become shorter meanwhile.
    pub(crate) fn check_count(&self, state: &State) -> Result<()> {
        match self.total() {
            Some(total) if total != state.documents => bail!(
                "{}: ended after {} of the {total} documents of this shard; it changed while it was read, try again",
                self.request.input.display(),
                state.documents
            ),
            _ => Ok(()),
        }
    }

    /// Removes the state of an earlier run, which is not that of what is written now.
    ///
    /// # Errors
    /// When that is not allowed.
    pub(crate) fn forget(&self) -> Result<()> {
        match self.state_path() {
            Some((path, _)) if !self.request.resume && path.exists() => std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}; allow writing there", path.display())),
            _ => Ok(()),
        }
    }

    /// Writes the state, where one is kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        match self.state_path() {
            Some((path, _)) if self.keeps_state() => {
                Ok(write_atomic(path, &serde_json::to_vec_pretty(state)?)?)
            }
            _ => Ok(()),
        }
    }

    /// Marks the output, which has its name now, as whole.
    ///
    /// # Errors
    /// When it cannot be read again, or the state cannot be written.
    pub(crate) fn save_finished(&self, state: State) -> Result<()> {
        match self.state_path() {
            Some((_, file)) if self.keeps_state() => {
                self.save(&State { finished: true, output_sha256: Some(sha256(&file)?), ..state })
            }
            _ => Ok(()),
        }
    }

    /// The files of the state and of the output; none where that is standard output.
    fn state_path(&self) -> Option<(PathBuf, PathBuf)> {
        let Destination::File(file) = &self.output else { return None };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Some((file.with_file_name(format!("{name}.state.json")), file.clone()))
    }

    fn other(&self, what: &str) -> anyhow::Error {
        anyhow!(
            "{}: was made from another {what}, or with other options; start over without --resume",
            self.output
        )
    }
}

impl State {
    /// All documents are scored and the output has its name.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes note of a document that was scored.
    pub(crate) fn add(&mut self, document: &Document, row: &Row) {
        self.documents += 1;
        self.truncated += u64::from(row.truncated);
        let empty = document.text.trim().is_empty();
        self.empty += u64::from(empty);
        self.short += u64::from(row.tokens < SHORT && !empty);
        self.texts.add(document);
    }
}

/// A hash of ids, texts and prompts, each added to the hash of those before it, in hexadecimal.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Texts(String);

impl Texts {
    fn add(&mut self, document: &Document) {
        let mut hash = Sha256::new_with_prefix(&self.0);
        for field in [&document.id, &document.text, &document.prompt] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        self.0 = format!("{:x}", hash.finalize());
    }
}

/// What the scores depend on beside the documents.
struct ScorerFiles<'a> {
    /// As the command names it.
    folder: &'a Path,
    /// Where it lies; a bundle has it within.
    backbone: Option<PathBuf>,
}

impl<'a> ScorerFiles<'a> {
    fn find(folder: &'a Path) -> Result<Self> {
        let found = find_scorer(folder)?;
        let settings = found.join("scorer.json");
        let backbone = match settings.is_file() {
            true => Some(found.join(ScorerSettings::read(&settings)?.backbone)),
            false => None,
        };
        Ok(Self { folder, backbone })
    }

    /// SHA-256 of the files and of the options, in hexadecimal.
    fn identity(&self, options: &str) -> Result<String> {
        let mut hash = Sha256::new_with_prefix(options);
        add_files(&mut hash, self.folder, "")?;
        if let Some(backbone) = &self.backbone {
            for path in BackboneFolder::find(backbone)?.files()? {
                add_file(&mut hash, &path)?;
            }
        }
        Ok(format!("{:x}", hash.finalize()))
    }
}

/// Adds the files of a folder by name, below `place`; not what may change beside a scorer: the state of training, kept
/// embeddings and locks.
fn add_files(hash: &mut Sha256, folder: &Path, place: &str) -> Result<()> {
    let list = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths: Vec<PathBuf> = list()
        .with_context(|| format!("cannot read {}; check that it exists and may be read", folder.display()))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "training" {
            add_files(hash, &path, &format!("{place}{name}/"))?;
        } else if path.is_file() && name != ".lock" && !EmbeddingCache::is_file_of_one(&path) {
            hash.update(place);
            add_file(hash, &path)?;
        }
    }
    Ok(())
}

/// Adds the name and the hash of a file.
fn add_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    hash.update(format!("{name}\n{}\n", sha256(path)?));
    Ok(())
}

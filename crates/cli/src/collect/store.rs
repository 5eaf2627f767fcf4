//! The database of a collection: documents, judges, the pairs they were given, and what they answered.
//!
//! The one key decision: this file is the only state. What a judge sees next follows from it, and every change is one
//! transaction that is on the disk (WAL, `synchronous=FULL`) before anybody hears of it. So a server can be killed at any
//! moment, and other processes that open the file do no harm. The cost is two flushes per judgement, a fraction of a
//! millisecond each on a solid-state disk. Nothing here knows of HTTP or chance.

mod flags;
mod links;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pair2score_data::judgements::Comparison;
use pair2score_data::judgements::select::{Kind, Showing};
use pair2score_data::lock::Identity;
use pair2score_data::pairs::{Pair, SplitName};
use pair2score_data::{DataError, Document, DocumentSet};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::lock::beside;
use super::records::{Handout, Outcome, Submission, Verdict};

/// Marks a file as a collection (`PRAGMA application_id`): "P2SC".
const APPLICATION_ID: i32 = 0x5032_5343;
/// Version of the tables (`PRAGMA user_version`).
const VERSION: i32 = 1;
/// How long to wait for another process that writes, unless a deadline is set.
const PATIENCE: Duration = Duration::from_secs(10);

/// `place` numbers documents from 0, and the pairs of a judge in the order they were given. The indices make what must not
/// happen impossible: the same pair twice for a judge (a repeat is another kind), two answers to one showing, one
/// judgement under two showings.
const TABLES: &str = "
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE documents (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL) STRICT;
    CREATE TABLE judges (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token BLOB NOT NULL UNIQUE) STRICT;
    CREATE TABLE handouts (
        id INTEGER PRIMARY KEY,
        judge INTEGER NOT NULL REFERENCES judges,
        place INTEGER NOT NULL,
        left INTEGER NOT NULL REFERENCES documents,
        right INTEGER NOT NULL REFERENCES documents CHECK (right <> left),
        kind TEXT NOT NULL CHECK (kind IN ('regular', 'repeat')),
        at TEXT NOT NULL,
        UNIQUE (judge, place)
    ) STRICT;
    CREATE UNIQUE INDEX never_twice ON handouts (judge, min(left, right), max(left, right), kind);
    CREATE TABLE judgements (
        handout INTEGER PRIMARY KEY REFERENCES handouts,
        id TEXT NOT NULL UNIQUE,
        answer TEXT NOT NULL CHECK (answer IN ('left', 'right', 'tie', 'skip')),
        ms INTEGER NOT NULL CHECK (ms >= 0),
        at TEXT NOT NULL
    ) STRICT;
";

/// Notes about documents, the lead's link, and judges without one. They came later than the other tables, and programs
/// that do not know them lose nothing: the token of a link that is switched off is nobody's.
const LATER_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS flags (
        judge INTEGER NOT NULL REFERENCES judges,
        document INTEGER NOT NULL REFERENCES documents,
        note TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (judge, document)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS lead (only INTEGER PRIMARY KEY CHECK (only = 1), token BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS links_off (judge INTEGER PRIMARY KEY REFERENCES judges) STRICT;
";

/// An open database.
pub(super) struct Store {
    connection: Connection,
    /// The files of the database as they were when it was opened: the file itself, and the one beside it that has the
    /// newest changes.
    files: Vec<(PathBuf, Identity)>,
    /// Until when changes wait for another process that writes.
    deadline: Option<Instant>,
}

impl Store {
    /// Opens a collection; with `create`, begins one where there is no file.
    ///
    /// # Errors
    /// A file that cannot be opened, is no collection, or was made by a newer version.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let opened = Connection::open_with_flags(path, flags).map_err(anyhow::Error::from);
        opened
            .and_then(|connection| Self::prepare(connection, path, create))
            .with_context(|| format!("{}: cannot open the collection", path.display()))
    }

    fn prepare(mut connection: Connection, path: &Path, create: bool) -> Result<Self> {
        connection.busy_timeout(PATIENCE)?;
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        let tables: usize =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 && application != APPLICATION_ID {
            bail!("it is the database of another program; name another file");
        }
        if tables == 0 && !create {
            bail!("it holds no collection; name the file that `serve --collect` was given");
        }
        if version > VERSION {
            bail!("it has version {version}, this program knows {VERSION}; use a newer program");
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if tables == 0 {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        connection.execute_batch(LATER_TABLES)?;
        // SQLite follows a symbolic link before it names the file beside the database.
        let path = path.canonicalize()?;
        let identified = |path: PathBuf| Identity::of(&path).map(|identity| (path, identity));
        let files = [beside(&path, "-wal"), path].into_iter().filter_map(identified).collect();
        Ok(Self { connection, files, deadline: None })
    }

    /// From now on changes wait for other processes until `deadline`, and fail then.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> Result<()> {
        self.deadline = Some(deadline);
        self.wait_as_long_as_is_left()
    }

    /// SQLite counts from the beginning of each wait.
    fn wait_as_long_as_is_left(&self) -> Result<()> {
        if let Some(deadline) = self.deadline {
            self.connection.busy_timeout(deadline.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// # Errors
    /// A database whose files are no longer those that were opened: whatever was written since is lost.
    pub(super) fn check_in_place(&self) -> Result<()> {
        match self.files.iter().find(|(path, identity)| Identity::of(path) != Some(*identity)) {
            None => Ok(()),
            Some((path, _)) => bail!(
                "{}: was removed or replaced while the server runs; put the same file back, or start the server again",
                path.display()
            ),
        }
    }

    /// A transaction that nobody else's change can come between.
    fn begin(&mut self) -> Result<Transaction<'_>> {
        self.wait_as_long_as_is_left()?;
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// A setting of the collection.
    pub(super) fn setting(&self, name: &str) -> Result<Option<String>> {
        let value =
            self.connection.query_row("SELECT value FROM settings WHERE name = ?", [name], |row| row.get(0));
        Ok(value.optional()?)
    }

    /// Sets or changes a setting.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<()> {
        self.connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [name, value])?;
        Ok(())
    }

    /// Adds the documents that are not there yet; gives their number. All or none are added.
    ///
    /// # Errors
    /// A document whose text is another one now: judges have read the old one.
    pub(super) fn add_documents(&mut self, documents: &DocumentSet) -> Result<usize> {
        let transaction = self.begin()?;
        let before = count(&transaction, "documents")?;
        let mut place = before;
        for document in documents {
            let known = transaction
                .query_row("SELECT text FROM documents WHERE id = ?", [&document.id], |row| row.get(0))
                .optional()?;
            match known {
                None => {
                    let row = params![place, document.id, document.text];
                    transaction.execute("INSERT INTO documents VALUES (?, ?, ?)", row)?;
                    place += 1;
                }
                Some::<String>(text) if text == document.text => {}
                Some(_) => {
                    return Err(DataError::Row {
                        path: documents.path.clone(),
                        row: document.row,
                        what: format!("document \"{}\" has another text than in the collection", document.id),
                        remedy: "begin a new collection or give it another id".into(),
                    }
                    .into());
                }
            }
        }
        transaction.commit()?;
        Ok(place - before)
    }

    /// The number of documents.
    pub(super) fn n_documents(&self) -> Result<usize> {
        Ok(count(&self.connection, "documents")?)
    }

    /// All documents, by their places.
    pub(super) fn documents(&self) -> Result<Vec<Document>> {
        let document =
            |row: &Row<'_>| Ok(Document { id: row.get(0)?, text: row.get(1)?, ..Document::default() });
        rows(&self.connection, "SELECT id, text FROM documents ORDER BY place", [], document)
    }

    /// Their ids, by their places.
    pub(super) fn ids(&self) -> Result<Vec<String>> {
        rows(&self.connection, "SELECT id FROM documents ORDER BY place", [], |row| row.get(0))
    }

    /// The text of a document.
    pub(super) fn text(&self, place: usize) -> Result<String> {
        Ok(self
            .connection
            .query_row("SELECT text FROM documents WHERE place = ?", [place], |row| row.get(0))?)
    }

    /// The pair that a judge has before them: the one they have not answered, else the one that `choose` gives after
    /// those they had; `None` when it gives none. `choose` may ask for all judgements of the collection.
    pub(super) fn hand_out(
        &mut self,
        judge: i64,
        at: &str,
        choose: impl FnOnce(&[Showing], &dyn Fn() -> Result<Vec<Comparison>>) -> Result<Option<Showing>>,
    ) -> Result<Option<Handout>> {
        let transaction = self.begin()?;
        let open = "SELECT left, right, kind, id FROM handouts h WHERE judge = ? AND NOT EXISTS \
                    (SELECT 1 FROM judgements WHERE handout = h.id) ORDER BY place";
        let handout = |row: &Row<'_>| Ok(Handout { id: row.get(3)?, showing: showing(row)? });
        if let Some(handout) = transaction.query_row(open, [judge], handout).optional()? {
            return Ok(Some(handout));
        }
        let given = "SELECT left, right, kind FROM handouts WHERE judge = ? ORDER BY place";
        let history = rows(&transaction, given, [judge], showing)?;
        let Some(showing) = choose(&history, &|| comparisons(&transaction))? else { return Ok(None) };
        transaction.execute(
            "INSERT INTO handouts (judge, place, left, right, kind, at) VALUES (?, ?, ?, ?, ?, ?)",
            params![judge, history.len(), showing.left, showing.right, kind_name(showing.kind), at],
        )?;
        let id = transaction.last_insert_rowid();
        transaction.commit()?;
        Ok(Some(Handout { id, showing }))
    }

    /// Stores an answer, once: the same submission again changes nothing.
    pub(super) fn answer(&mut self, judge: i64, submission: &Submission, at: &str) -> Result<Outcome> {
        let Submission { handout, id, verdict, ms } = submission;
        let transaction = self.begin()?;
        let given = "SELECT j.id, j.answer FROM handouts h LEFT JOIN judgements j ON j.handout = h.id \
                     WHERE h.id = ? AND h.judge = ?";
        let before = transaction.query_row(given, params![handout, judge], |row| {
            Ok(row.get::<_, Option<String>>(0)?.zip(row.get::<_, Option<String>>(1)?))
        });
        Ok(match before.optional()? {
            None => Outcome::NotGiven,
            Some(Some((known, answer))) if known == *id && answer == verdict.as_str() => Outcome::Known,
            Some(Some(_)) => Outcome::Conflict,
            Some(None) => {
                let sql = "INSERT INTO judgements VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
                let stored = transaction.execute(sql, params![handout, id, verdict.as_str(), ms, at])?;
                transaction.commit()?;
                if stored > 0 { Outcome::Stored } else { Outcome::Conflict }
            }
        })
    }

    /// Takes back a judgement of this judge, whose pair is then before them again; `false` where there is none of this
    /// id, because it was taken back before.
    pub(super) fn take_back(&mut self, judge: i64, id: &str) -> Result<bool> {
        let sql =
            "DELETE FROM judgements WHERE id = ? AND handout IN (SELECT id FROM handouts WHERE judge = ?)";
        let transaction = self.begin()?;
        let removed = transaction.execute(sql, params![id, judge])?;
        transaction.commit()?;
        Ok(removed > 0)
    }

    /// The id of the judge's answer to the latest pair that they have answered.
    pub(super) fn last_answer(&self, judge: i64) -> Result<Option<String>> {
        let sql = "SELECT j.id FROM judgements j JOIN handouts h ON h.id = j.handout WHERE h.judge = ? \
                   ORDER BY h.place DESC LIMIT 1";
        Ok(self.connection.query_row(sql, [judge], |row| row.get(0)).optional()?)
    }

    /// How many pairs a judge has answered, skipped ones among them.
    pub(super) fn answered(&self, judge: i64) -> Result<usize> {
        let sql = "SELECT count(*) FROM judgements j JOIN handouts h ON h.id = j.handout WHERE h.judge = ?";
        Ok(self.connection.query_row(sql, [judge], |row| row.get(0))?)
    }

    /// How many pairs a judge has skipped.
    pub(super) fn skipped(&self, judge: i64) -> Result<usize> {
        let sql = "SELECT count(*) FROM judgements j JOIN handouts h ON h.id = j.handout \
                   WHERE h.judge = ? AND j.answer = 'skip'";
        Ok(self.connection.query_row(sql, [judge], |row| row.get(0))?)
    }

    /// All judgements as a log has them, in the order the pairs were given, and the number of skipped pairs, which are
    /// not among them.
    ///
    /// # Errors
    /// A failed read, or a collection that does not know yet what is judged.
    pub(super) fn export(&self) -> Result<(Vec<Pair>, usize)> {
        let target = self.setting("trait")?.context("nothing was collected yet")?;
        let sql = "SELECT j.answer, a.id, b.id, judges.name, j.ms, j.at FROM judgements j \
                   JOIN handouts h ON h.id = j.handout JOIN judges ON judges.id = h.judge \
                   JOIN documents a ON a.place = h.left JOIN documents b ON b.place = h.right \
                   WHERE j.answer <> 'skip' ORDER BY h.id";
        let pair = |row: &Row<'_>| {
            let left: String = row.get(1)?;
            Ok(Pair {
                run: 0,
                target: target.clone(),
                split: SplitName::Train,
                index: 0,
                a: left.clone(),
                b: row.get(2)?,
                y: Verdict::of_left(row.get_ref(0)?.as_str()?),
                da: None,
                db: None,
                d: None,
                judge: row.get(3)?,
                shown_left: Some(left),
                ms: row.get(4)?,
                at: row.get(5)?,
                weight: None,
            })
        };
        let mut pairs = rows(&self.connection, sql, [], pair)?;
        for (index, pair) in pairs.iter_mut().enumerate() {
            pair.index = index;
        }
        let skipped = "SELECT count(*) FROM judgements WHERE answer = 'skip'";
        Ok((pairs, self.connection.query_row(skipped, [], |row| row.get(0))?))
    }
}

/// All judgements as numbers.
fn comparisons(connection: &Connection) -> Result<Vec<Comparison>> {
    let sql = "SELECT h.left, h.right, j.answer FROM judgements j JOIN handouts h ON h.id = j.handout \
               WHERE j.answer <> 'skip' ORDER BY h.id";
    rows(connection, sql, [], |row| {
        Ok(Comparison::new(row.get(0)?, row.get(1)?, Verdict::of_left(row.get_ref(2)?.as_str()?)))
    })
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    Ok(connection.prepare(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>()?)
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<usize> {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
}

/// From the columns left, right and kind.
fn showing(row: &Row<'_>) -> rusqlite::Result<Showing> {
    let kind =
        if row.get_ref(2)?.as_str()? == kind_name(Kind::Repeat) { Kind::Repeat } else { Kind::Regular };
    Ok(Showing { left: row.get(0)?, right: row.get(1)?, kind })
}

/// Gold pairs are not collected here.
fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Repeat => "repeat",
        Kind::Regular | Kind::Gold => "regular",
    }
}

#[cfg(test)]
mod tests;

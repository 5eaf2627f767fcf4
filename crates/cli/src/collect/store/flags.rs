//! Notes of judges about documents.

use anyhow::Result;
use rusqlite::{OptionalExtension, params};

use super::{Store, rows};
use crate::collect::records::{Flag, Handout, Side};

impl Store {
    /// Notes something about a text of a pair that the judge was given, in place of an earlier note; without a note the
    /// earlier one goes away. `false` where the judge was not given the pair.
    pub(in crate::collect) fn flag(
        &mut self,
        judge: i64,
        handout: i64,
        side: Side,
        note: Option<&str>,
        at: &str,
    ) -> Result<bool> {
        let given = match side {
            Side::Left => "SELECT left FROM handouts WHERE id = ? AND judge = ?",
            Side::Right => "SELECT right FROM handouts WHERE id = ? AND judge = ?",
        };
        let transaction = self.begin()?;
        let document = transaction.query_row(given, [handout, judge], |row| row.get::<_, i64>(0));
        let Some(document) = document.optional()? else { return Ok(false) };
        match note {
            Some(note) => transaction.execute(
                "INSERT OR REPLACE INTO flags (judge, document, note, at) VALUES (?, ?, ?, ?)",
                params![judge, document, note, at],
            )?,
            None => transaction
                .execute("DELETE FROM flags WHERE judge = ? AND document = ?", [judge, document])?,
        };
        transaction.commit()?;
        Ok(true)
    }

    /// What a judge noted about the left and the right text of a pair.
    pub(in crate::collect) fn notes(&self, judge: i64, handout: &Handout) -> Result<[Option<String>; 2]> {
        let note = |place: usize| {
            let sql = "SELECT note FROM flags WHERE judge = ? AND document = ?";
            self.connection.query_row(sql, params![judge, place], |row| row.get(0)).optional()
        };
        Ok([note(handout.showing.left)?, note(handout.showing.right)?])
    }

    /// All notes, in the order they were written.
    pub(in crate::collect) fn flags(&self) -> Result<Vec<Flag>> {
        let sql = "SELECT documents.id, note, name, at FROM flags JOIN documents ON place = document \
                   JOIN judges ON judges.id = judge ORDER BY at, flags.rowid";
        rows(&self.connection, sql, [], |row| {
            Ok(Flag { document: row.get(0)?, note: row.get(1)?, judge: row.get(2)?, at: row.get(3)? })
        })
    }
}

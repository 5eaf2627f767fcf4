//! Judges and the links that let them in, and the lead's.

use anyhow::Result;
use rusqlite::{OptionalExtension, Row, params};

use super::{Store, rows};
use crate::collect::records::{Judge, Progress};
use crate::token::Hash;

impl Store {
    /// Adds a judge; `false` where there is one of that name already.
    pub(in crate::collect) fn add_judge(&self, name: &str, token: &Hash) -> Result<bool> {
        let sql = "INSERT INTO judges (name, token) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
        Ok(self.connection.execute(sql, params![name, token])? > 0)
    }

    /// Gives a judge another token, after which the old one is worth nothing; `false` where there is no such judge.
    pub(in crate::collect) fn change_token(&mut self, name: &str, token: &Hash) -> Result<bool> {
        let transaction = self.begin()?;
        let off = "DELETE FROM links_off WHERE judge = (SELECT id FROM judges WHERE name = ?)";
        transaction.execute(off, [name])?;
        let changed =
            transaction.execute("UPDATE judges SET token = ? WHERE name = ?", params![token, name])?;
        transaction.commit()?;
        Ok(changed > 0)
    }

    /// Ends a judge's link without another one; `false` where there is no such judge. What they answered stays.
    pub(in crate::collect) fn switch_off(&mut self, name: &str) -> Result<bool> {
        let transaction = self.begin()?;
        // A hash of nothing that anybody has.
        let changed =
            transaction.execute("UPDATE judges SET token = randomblob(32) WHERE name = ?", [name])?;
        let off = "INSERT OR IGNORE INTO links_off SELECT id FROM judges WHERE name = ?";
        transaction.execute(off, [name])?;
        transaction.commit()?;
        Ok(changed > 0)
    }

    /// All judges, in the order they were added.
    pub(in crate::collect) fn judges(&self) -> Result<Vec<Judge>> {
        let judge = |row: &Row<'_>| Ok(Judge { id: row.get(0)?, name: row.get(1)?, token: row.get(2)? });
        rows(&self.connection, "SELECT id, name, token FROM judges ORDER BY id", [], judge)
    }

    /// How far all judges are, in the order they were added.
    pub(in crate::collect) fn progress(&self) -> Result<Vec<Progress>> {
        let sql = "SELECT name, judges.id NOT IN (SELECT judge FROM links_off), count(j.id), \
                   count(j.id) FILTER (WHERE j.answer = 'skip'), max(max(h.at), coalesce(max(j.at), '')) \
                   FROM judges LEFT JOIN handouts h ON h.judge = judges.id \
                   LEFT JOIN judgements j ON j.handout = h.id GROUP BY judges.id ORDER BY judges.id";
        rows(&self.connection, sql, [], |row| {
            Ok(Progress {
                name: row.get(0)?,
                has_link: row.get(1)?,
                done: row.get(2)?,
                skipped: row.get(3)?,
                seen: row.get(4)?,
            })
        })
    }

    /// The hash of the token in the lead's link, once there is one.
    pub(in crate::collect) fn lead(&self) -> Result<Option<Hash>> {
        Ok(self.connection.query_row("SELECT token FROM lead", [], |row| row.get(0)).optional()?)
    }

    /// Gives the lead a token, after which an earlier one is worth nothing.
    pub(in crate::collect) fn set_lead(&self, token: &Hash) -> Result<()> {
        self.connection.execute("INSERT OR REPLACE INTO lead VALUES (1, ?)", [token])?;
        Ok(())
    }
}

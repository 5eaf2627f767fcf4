//! What there is to say about the answers so far: what `judgements stats` says of them, computed aside, so that no judge
//! waits for it, and once for whoever asks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use pair2score_data::judgements::{
    self, Comparisons, Features, Judgement, JudgementLog, Stats, StatsOptions, Trust, infer,
};
use pair2score_data::pairs::Pair;
use tokio::sync::Mutex;

/// Of some answers.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) pairs: Vec<Pair>,
    /// With what was read in the documents, where something was.
    pub(super) trust: Trust,
    pub(super) stats: Stats,
    /// Places of the documents, as `judgements fit` writes them.
    pub(super) fit: String,
}

/// The latest account, and what it rests on beside answers.
pub(super) struct Accounts {
    /// The ids of the documents and what was read in them, where something was.
    reading: Option<Arc<(Vec<String>, Arc<Features>)>>,
    latest: Mutex<Option<Arc<Account>>>,
}

impl Accounts {
    pub(super) fn new(ids: Vec<String>, features: Arc<Features>) -> Self {
        let reading = (!features.is_empty()).then(|| Arc::new((ids, features)));
        Self { reading, latest: Mutex::new(None) }
    }

    /// The account of these answers.
    ///
    /// # Errors
    /// As the fit.
    pub(super) async fn of(&self, pairs: Vec<Pair>) -> Result<Arc<Account>> {
        // Others who ask meanwhile wait, and most often find what they need.
        let mut latest = self.latest.lock().await;
        if let Some(known) = latest.as_ref().filter(|known| known.pairs == pairs) {
            return Ok(Arc::clone(known));
        }
        let reading = self.reading.clone();
        let task = tokio::task::spawn_blocking(move || account(pairs, reading.as_deref()));
        let account = Arc::new(task.await.context("a computation broke off")??);
        *latest = Some(Arc::clone(&account));
        Ok(account)
    }
}

fn account(pairs: Vec<Pair>, reading: Option<&(Vec<String>, Arc<Features>)>) -> Result<Account> {
    let judgement = |pair: &Pair| Judgement { pair: pair.clone(), file: 0, line: 0 };
    let judgements = pairs.iter().map(judgement).collect();
    let log = JudgementLog {
        judgements,
        files: vec![PathBuf::from("the collection")],
        duplicates: 0,
        unanswered: 0,
    };
    let stats = judgements::stats(&Comparisons::from(&log), &HashMap::new(), &StatsOptions::default())?;
    let (trust, fit) = match reading {
        None => (stats.trust, stats.fit_csv()),
        Some((ids, features)) => {
            let comparisons = Comparisons::among_ids(ids.clone(), &log)?;
            let inferred = infer(&comparisons, features, None, false)?;
            (inferred.prospect(&comparisons.list).trust, inferred.csv())
        }
    };
    Ok(Account { pairs, trust, stats, fit })
}

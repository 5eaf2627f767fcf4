//! What the judges of a panel see: several judges, none of whom gets a pair twice, some of whose pairs all get.
//!
//! Nothing here has to survive: lists follow from a seed, and an adaptive plan that is lost is made again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::select::{Groups, Mix, Pairing, Showing, show_next, unordered};
use super::{Comparison, Features, posterior_with};
use crate::error::DataError;
use crate::rng;

/// How the pairs of a panel are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// At random, every document equally often.
    Balanced,
    /// What the answers so far leave most open.
    Adaptive,
}

/// What a panel is given.
#[derive(Debug, Clone)]
pub struct PanelOptions {
    /// How pairs are chosen.
    pub selection: Selection,
    /// Share of a judge's pairs that all judges get, 0 to 1.
    pub shared: f64,
    /// Share of pairs that come once more with sides swapped, 0 to below 1.
    pub repeats: f64,
    /// Pairs per judge, at most.
    pub per_judge: Option<usize>,
    /// Whether both documents of a pair get the same role in an import with the same seed.
    pub within_splits: bool,
    /// The seed of every random choice.
    pub seed: u64,
}

/// Chooses among documents for several judges.
#[derive(Debug)]
pub struct Panel {
    /// What is known of the documents beside their judgements.
    features: Arc<Features>,
    groups: Groups,
    options: PanelOptions,
    /// Balanced lists by seed, as far as they were needed.
    lists: HashMap<u64, Vec<Pairing>>,
    /// Adaptive pairs that nobody was given yet.
    adaptive: Vec<Pairing>,
}

impl Panel {
    /// A panel that has seen no judgement. Adaptive pairs follow from what the features say too.
    pub fn new(features: impl Into<Arc<Features>>, options: PanelOptions) -> Self {
        let features = features.into();
        let all: Vec<usize> = (0..features.n()).collect();
        let groups = match options.within_splits {
            false => Groups::all(all),
            true => Groups::within_splits(&all, options.seed),
        };
        Self { features, groups, options, lists: HashMap::new(), adaptive: Vec::new() }
    }

    /// What a judge sees after `history`; `None` when they are done. `log` reads all judgements so far.
    ///
    /// # Errors
    /// Those of `log`, and of the fit.
    pub fn next<E: From<DataError>>(
        &mut self,
        judge: &str,
        history: &[Showing],
        log: &dyn Fn() -> Result<Vec<Comparison>, E>,
    ) -> Result<Option<Showing>, E> {
        if self.options.per_judge.is_some_and(|most| history.len() >= most) {
            return Ok(None);
        }
        let seed = rng::mix(self.options.seed, &["judge", judge]);
        let mix = Mix { repeats: self.options.repeats, gold: 0.0, ..Mix::default() };
        let used = history.iter().map(|showing| unordered((showing.left, showing.right))).collect();
        let mut failure = None;
        let regular = || {
            self.regular(seed, &used, log).unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        };
        let showing = show_next(history, &[], &mix, seed, regular);
        failure.map_or(Ok(showing), Err)
    }

    fn regular<E: From<DataError>>(
        &mut self,
        seed: u64,
        used: &HashSet<Pairing>,
        log: &dyn Fn() -> Result<Vec<Comparison>, E>,
    ) -> Result<Option<Pairing>, E> {
        let draw = rng::unit(&mut rng::stream(seed, &["shared", &used.len().to_string()]));
        if draw < self.options.shared {
            return Ok(self.balanced(self.options.seed, used));
        }
        match self.options.selection {
            Selection::Balanced => Ok(self.balanced(seed, used)),
            Selection::Adaptive => {
                let adaptive = self.adaptive(used, log)?;
                Ok(adaptive.or_else(|| self.balanced(seed, used)))
            }
        }
    }

    /// The first pair of a seed's list that the judge has not had, else any such pair.
    fn balanced(&mut self, seed: u64, used: &HashSet<Pairing>) -> Option<Pairing> {
        let fresh = |pair: &Pairing| !used.contains(&unordered(*pair));
        let list = self.lists.entry(seed).or_default();
        let mut per_document = (2 * list.len()).checked_div(self.features.n()).unwrap_or(0);
        loop {
            if let Some(pair) = list.iter().copied().find(fresh) {
                return Some(pair);
            }
            if per_document >= self.features.n() {
                return self.groups.unused(used);
            }
            // Even numbers make whole cycles, so that a longer list has every pair of the shorter one.
            per_document = (2 * per_document).max(2);
            *list = self.groups.balanced(per_document, seed);
        }
    }

    /// An adaptive pair that the judge has not had. The plan is made anew when it has none for them; where
    /// nothing was judged since, it is the same again, and there may be none.
    fn adaptive<E: From<DataError>>(
        &mut self,
        used: &HashSet<Pairing>,
        log: &dyn Fn() -> Result<Vec<Comparison>, E>,
    ) -> Result<Option<Pairing>, E> {
        let fresh = |pair: &Pairing| !used.contains(&unordered(*pair));
        if !self.adaptive.iter().any(fresh) {
            let list = log()?;
            let known = posterior_with(&self.features, &list)?;
            self.adaptive = self.groups.adaptive(&list, &known, self.options.seed);
        }
        let place = self.adaptive.iter().position(fresh);
        Ok(place.map(|place| self.adaptive.remove(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::{SplitName, split_80_10_10};

    fn options(selection: Selection) -> PanelOptions {
        PanelOptions { selection, shared: 0.0, repeats: 0.0, per_judge: None, within_splits: false, seed: 7 }
    }

    /// Everything a judge gets when nobody else is there; the document of the higher number always wins.
    fn session(panel: &mut Panel, judge: &str, most: usize) -> Vec<Showing> {
        let mut history = Vec::new();
        while history.len() < most {
            let judged: Vec<Showing> = history.clone();
            let log = || {
                let answer = |s: &Showing| Comparison::new(s.left, s.right, f64::from(s.left > s.right));
                Ok::<_, DataError>(judged.iter().map(answer).collect())
            };
            let Some(showing) = panel.next(judge, &history, &log).unwrap() else { break };
            history.push(showing);
        }
        history
    }

    fn pairs(history: &[Showing]) -> HashSet<Pairing> {
        history.iter().map(|showing| unordered((showing.left, showing.right))).collect()
    }

    #[test]
    fn a_judge_gets_every_pair_once_and_then_none() {
        for selection in [Selection::Balanced, Selection::Adaptive] {
            for n in [0, 1, 2, 3, 4, 7, 12] {
                let history =
                    session(&mut Panel::new(Features::none(n), options(selection)), "ann", usize::MAX);
                assert_eq!(history.len(), n * n.saturating_sub(1) / 2, "{selection:?} {n}");
                assert_eq!(pairs(&history).len(), history.len(), "{selection:?} {n}");
            }
        }
    }

    #[test]
    fn balanced_pairs_use_documents_equally() {
        let history = session(&mut Panel::new(Features::none(40), options(Selection::Balanced)), "ann", 120);
        let mut usage = [0; 40];
        history.iter().flat_map(|s| [s.left, s.right]).for_each(|place| usage[place] += 1);
        assert_eq!(usage, [6; 40]);
    }

    #[test]
    fn judges_share_as_many_pairs_as_asked_for() {
        let shared = |share| {
            let mut panel = Panel::new(
                Features::none(200),
                PanelOptions { shared: share, ..options(Selection::Balanced) },
            );
            let (ann, bob) = (session(&mut panel, "ann", 200), session(&mut panel, "bob", 200));
            pairs(&ann).intersection(&pairs(&bob)).count()
        };
        // By chance two of 19,900; a quarter of 200 is 50, with a standard deviation of 6.
        assert!(shared(0.0) < 12 && (20..80).contains(&shared(0.25)) && shared(1.0) == 200);
    }

    #[test]
    fn a_limit_repeats_and_a_lost_plan() {
        let with = PanelOptions { per_judge: Some(60), repeats: 0.3, ..options(Selection::Balanced) };
        let history = session(&mut Panel::new(Features::none(30), with.clone()), "ann", usize::MAX);
        assert!(history.len() == 60 && pairs(&history).len() < 60);
        // A new panel, as after a crash, goes on as the old one would have.
        let next = Panel::new(Features::none(30), with)
            .next("ann", &history[..25], &|| Ok::<_, DataError>(Vec::new()))
            .unwrap();
        assert_eq!(next, Some(history[25]));
    }

    #[test]
    fn pairs_within_splits_are_all_there_are() {
        let splits = split_80_10_10(&(0..40).collect::<Vec<_>>(), 7);
        let role =
            |place| SplitName::ALL.into_iter().find(|&split| splits.get(split).contains(&place)).unwrap();
        for selection in [Selection::Balanced, Selection::Adaptive] {
            let within = PanelOptions { within_splits: true, ..options(selection) };
            let history = session(&mut Panel::new(Features::none(40), within), "ann", usize::MAX);
            assert!(history.iter().all(|showing| role(showing.left) == role(showing.right)));
            // 32 · 31 / 2 and twice 4 · 3 / 2.
            assert_eq!((pairs(&history).len(), history.len()), (508, 508), "{selection:?}");
            // A tenth of the documents is in the validation split, and soon has a tenth of the pairs.
            let early = history[..60].iter().filter(|s| role(s.left) == SplitName::Val).count();
            assert!((3..=9).contains(&early), "{selection:?} {early}");
        }
    }

    #[test]
    fn adaptive_pairs_are_of_neighbours() {
        let distance = |selection| {
            let history = session(&mut Panel::new(Features::none(40), options(selection)), "ann", 300);
            let apart = |s: &Showing| s.left.abs_diff(s.right) as f64;
            history[150..].iter().map(apart).sum::<f64>() / 150.0
        };
        let (adaptive, random) = (distance(Selection::Adaptive), distance(Selection::Balanced));
        assert!(adaptive < 0.8 * random, "{adaptive} {random}");
    }
}

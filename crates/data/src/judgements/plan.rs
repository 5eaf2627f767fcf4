//! The plan of one judge: which pair comes after those already shown.
//!
//! A plan is asked with everything that was shown so far and answers with one pair. It may be asked while the last pair
//! still waits for its answer, so that the next one is there when the answer comes; what it says is the same either way.

use std::collections::HashMap;
use std::sync::Arc;

use super::select::{AdaptiveOptions, Kind, Mix, Pairing, Showing, adaptive, balanced, show_next, unordered};
use super::{Comparison, Features, posterior_with};
use crate::error::{DataError, Result};
use crate::rng;

/// Screens on which a judge may have pairs open at once, without being given the same one twice.
const SCREENS: usize = 4;

/// Where regular pairs come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// [`balanced`].
    Balanced,
    /// [`adaptive`], in batches of a tenth of the documents, with what is known of them beside their judgements.
    Adaptive(Arc<Features>),
    /// A list, in its order. One that has repeats or gold pairs of its own is shown as it is.
    Given(Vec<Given>),
}

/// A pair of a given list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The two documents, by index.
    pub pair: Pairing,
    /// Whether the first of them belongs on the left; otherwise chance decides.
    pub sided: bool,
    /// Why it is shown.
    pub kind: Kind,
}

/// What a plan is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanOptions {
    /// Number of documents.
    pub n: usize,
    /// Where regular pairs come from.
    pub strategy: Strategy,
    /// In how many regular pairs of this judge a document should be; a given list has its own length.
    pub per_document: usize,
    /// What is mixed in.
    pub mix: Mix,
    /// Pairs whose answer is known.
    pub gold: Vec<Pairing>,
    /// Let it depend on the judge.
    pub seed: u64,
}

/// A pair that was shown, and the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// The pair.
    pub showing: Showing,
    /// 1 when the document on the left was called better, 0 the other one, 0.5 a tie; `None` without an answer, because
    /// the pair was skipped or is on the screen.
    pub y: Option<f64>,
}

/// Chooses pairs for one judge.
#[derive(Debug)]
pub struct Plan {
    options: PlanOptions,
    /// The regular pairs of a strategy that knows them all beforehand.
    list: Vec<Pairing>,
    /// The pairs that the adaptive strategy chose last, and before, with the number of regular pairs shown before them.
    batches: [Option<Batch>; 2],
}

/// Pairs that were chosen together.
#[derive(Debug)]
struct Batch {
    /// Regular pairs shown before them.
    first: usize,
    pairs: Vec<Pairing>,
}

impl Plan {
    /// Makes the list of strategies that have one. Every index in `options` is below `n`.
    ///
    /// # Errors
    /// Features of more or fewer than all documents.
    pub fn new(options: PlanOptions) -> Result<Self> {
        if let Strategy::Adaptive(features) = &options.strategy
            && features.n() != options.n
        {
            let what = format!("a scorer's word on {} of {} documents", features.n(), options.n);
            return Err(DataError::setting(what, "let the scorer read all documents"));
        }
        let list = match &options.strategy {
            Strategy::Balanced => balanced(options.n, options.per_document, options.seed),
            Strategy::Adaptive(_) => Vec::new(),
            Strategy::Given(list) => list.iter().map(|given| given.pair).collect(),
        };
        Ok(Self { options, list, batches: [None, None] })
    }

    /// How many regular pairs it has.
    pub fn len(&self) -> usize {
        match &self.options.strategy {
            Strategy::Adaptive(_) => self.options.regular(),
            _ => self.list.len(),
        }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pair after `history`; `None` at the end of the plan. `others` are judgements of other judges, which the
    /// adaptive strategy learns from. Pairs in `taken` are on another screen of the same judge and are left to it.
    ///
    /// # Errors
    /// As [`posterior`](super::posterior()).
    pub fn next(
        &mut self,
        history: &[Shown],
        others: &[Comparison],
        taken: &[Pairing],
    ) -> Result<Option<Showing>> {
        if let Strategy::Given(list) = &self.options.strategy
            && list.iter().any(|given| given.kind != Kind::Regular)
        {
            let met = counted(history.iter().map(|shown| shown.showing), taken);
            return Ok(self.given(list, met, history.len()));
        }
        let regular = |shown: &&Shown| shown.showing.kind == Kind::Regular;
        let met = || counted(history.iter().filter(regular).map(|shown| shown.showing), taken);
        let pair = match &self.options.strategy {
            Strategy::Adaptive(features) => {
                let features = Arc::clone(features);
                self.adaptive_pair(&features, history, others, taken)?
            }
            Strategy::Given(list) => {
                let showing = self.given(list, met(), history.len());
                showing.map(|showing| (showing.left, showing.right))
            }
            _ => first_new(&self.list, met()),
        };
        let PlanOptions { gold, mix, seed, .. } = &self.options;
        let showings: Vec<Showing> = history.iter().map(|shown| shown.showing).collect();
        let showing = show_next(&showings, gold, mix, *seed, || pair);
        Ok(showing.map(|showing| self.on_its_side(showing)))
    }

    /// Chooses the batch after the one that `history` is in, if all that it is chosen by is known: a fit of hundreds of
    /// documents is then done before it is waited for, and [`next`](Self::next) says the same as without it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn prepare(&mut self, history: &[Shown], others: &[Comparison]) -> Result<()> {
        let Strategy::Adaptive(features) = &self.options.strategy else { return Ok(()) };
        let features = Arc::clone(features);
        let regular = regular_places(history);
        let first = (regular.len() / self.batch_size() + 1) * self.batch_size();
        if first < self.len() && regular.len() + self.lead() > first {
            self.choose_batch(first, &features, history, &regular, others)?;
        }
        Ok(())
    }

    /// The first pair of a given list that was not met, with its side or one by chance.
    fn given(&self, list: &[Given], mut shown: TimesShown, n_shown: usize) -> Option<Showing> {
        let given = list.iter().find(|given| shown.is_new((unordered(given.pair), given.kind)))?;
        let mut rng = rng::stream(self.options.seed, &["given", &n_shown.to_string()]);
        let (left, right) = given.pair;
        let swap = !given.sided && rng::below(&mut rng, 2) == 1;
        let (left, right) = if swap { (right, left) } else { (left, right) };
        Some(Showing { left, right, kind: given.kind })
    }

    /// A regular pair of a given list stays on the side it was given, where it was.
    fn on_its_side(&self, showing: Showing) -> Showing {
        let Strategy::Given(list) = &self.options.strategy else { return showing };
        let swapped = Given { pair: (showing.right, showing.left), sided: true, kind: Kind::Regular };
        if showing.kind == Kind::Regular && list.contains(&swapped) {
            return Showing { left: showing.right, right: showing.left, ..showing };
        }
        showing
    }

    fn adaptive_pair(
        &mut self,
        features: &Features,
        history: &[Shown],
        others: &[Comparison],
        taken: &[Pairing],
    ) -> Result<Option<Pairing>> {
        let regular = regular_places(history);
        if regular.len() >= self.len() {
            return Ok(None);
        }
        let first = regular.len() / self.batch_size() * self.batch_size();
        let met = self.choose_batch(first, features, history, &regular, others)?;
        let Some(batch) = self.batches.iter().flatten().find(|batch| batch.first == first) else {
            return Ok(None);
        };
        let met = counted(met.into_iter().map(|place| history[place].showing), taken);
        Ok(first_new(&batch.pairs, met).or_else(|| batch.pairs.last().copied()))
    }

    /// Chooses the pairs after the first so many regular ones, unless they are there; gives the places of those that may be
    /// among them and were shown.
    fn choose_batch(
        &mut self,
        first: usize,
        features: &Features,
        history: &[Shown],
        regular: &[usize],
        others: &[Comparison],
    ) -> Result<Vec<usize>> {
        // The last pairs before the batch may be waiting for their answers: what is chosen must not depend on them.
        let known = first.checked_sub(self.lead()).map_or(0, |last| regular[last]);
        // Skipped pairs teach nothing, so they are chosen again, and passed over.
        let mut met: Vec<usize> = regular.iter().copied().filter(|&place| place >= known).collect();
        met.extend(regular.iter().filter(|&&place| place < known && history[place].y.is_none()));
        if self.batches.iter().flatten().all(|batch| batch.first != first) {
            let mut list = others.to_vec();
            list.extend(history[..known].iter().filter_map(|shown| {
                Some(Comparison::new(shown.showing.left, shown.showing.right, shown.y?))
            }));
            let known = posterior_with(features, &list)?;
            let wanted = self.batch_size() + self.lead() + met.len() + SCREENS;
            let options = AdaptiveOptions::of(&known);
            let pairs = adaptive(&list, &known, wanted, &options, self.options.seed);
            self.batches = [Some(Batch { first, pairs }), self.batches[0].take()];
        }
        Ok(met)
    }

    /// Pairs that are chosen together: a tenth of the documents.
    fn batch_size(&self) -> usize {
        self.options.n.div_ceil(10).max(1)
    }

    /// Pairs before a batch whose answers it does not wait for: the one on the screen, and where a fit takes longer, some
    /// that are read meanwhile.
    fn lead(&self) -> usize {
        1 + self.batch_size() / 10
    }
}

/// The places of the regular pairs.
fn regular_places(history: &[Shown]) -> Vec<usize> {
    (0..history.len()).filter(|&place| history[place].showing.kind == Kind::Regular).collect()
}

impl PlanOptions {
    /// How many pairs `per_document` asks for.
    fn regular(&self) -> usize {
        if self.n < 2 { 0 } else { (self.n * self.per_document).div_ceil(2) }
    }
}

/// How often each pair was shown, and why.
struct TimesShown(HashMap<(Pairing, Kind), usize>);

impl TimesShown {
    /// Crosses one showing off; whether there was none left.
    fn is_new(&mut self, key: (Pairing, Kind)) -> bool {
        match self.0.get_mut(&key) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        }
    }
}

fn counted(shown: impl Iterator<Item = Showing>, taken: &[Pairing]) -> TimesShown {
    let taken = taken.iter().map(|&pair| (unordered(pair), Kind::Regular));
    let mut times = HashMap::new();
    for key in shown.map(|showing| (unordered((showing.left, showing.right)), showing.kind)).chain(taken) {
        *times.entry(key).or_default() += 1;
    }
    TimesShown(times)
}

fn first_new(list: &[Pairing], mut shown: TimesShown) -> Option<Pairing> {
    list.iter().copied().find(|&pair| shown.is_new((unordered(pair), Kind::Regular)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::n_parts;
    use crate::judgements::simulate;

    fn options(n: usize, strategy: Strategy) -> PlanOptions {
        let mix = Mix { repeats: 0.0, ..Mix::default() };
        PlanOptions { n, strategy, per_document: 4, mix, gold: Vec::new(), seed: 7 }
    }

    /// Judges to the end of the plan; utilities are the indices.
    fn session(options: PlanOptions) -> Vec<Shown> {
        let mut plan = Plan::new(options).unwrap();
        let mut history = Vec::new();
        let mut rng = rng::stream(1, &["session"]);
        while let Some(showing) = plan.next(&history, &[], &[]).unwrap() {
            let (left, right) = (showing.left as f64, showing.right as f64);
            history.push(Shown { showing, y: Some(simulate::answer(left, right, 0.3, 1.0, &mut rng)) });
        }
        history
    }

    fn pairs(history: &[Shown]) -> Vec<Pairing> {
        history.iter().map(|shown| unordered((shown.showing.left, shown.showing.right))).collect()
    }

    #[test]
    fn every_strategy_keeps_its_promise_and_then_ends() {
        let said: Vec<f64> = (0..30).map(f64::from).collect();
        let assisted = Strategy::Adaptive(Features::new(Some(&said), None).unwrap().into());
        for strategy in [Strategy::Balanced, Strategy::Adaptive(Features::none(30).into()), assisted] {
            let history = session(options(30, strategy.clone()));
            assert_eq!(history.len(), 60, "{strategy:?}");
            assert_eq!(n_parts(30, pairs(&history)), 1, "{strategy:?}");
        }
        let list = [(3, 1), (0, 2), (3, 1)].map(|pair| Given { pair, sided: false, kind: Kind::Regular });
        assert_eq!(pairs(&session(options(4, Strategy::Given(list.into())))), [(1, 3), (0, 2), (1, 3)]);
        for n in [0, 1] {
            assert!(session(options(n, Strategy::Adaptive(Features::none(n).into()))).is_empty());
            assert!(session(options(n, Strategy::Balanced)).is_empty());
        }
    }

    /// A page asks for the next pair while the last one is on the screen, and asks anew after a reload.
    #[test]
    fn the_next_pair_does_not_depend_on_the_answer_it_waits_for() {
        for strategy in [Strategy::Balanced, Strategy::Adaptive(Features::none(25).into())] {
            let settings = PlanOptions { mix: Mix::default(), ..options(25, strategy) };
            let history = session(settings.clone());
            for shown in 1..history.len() {
                let mut ahead = history[..shown].to_vec();
                ahead[shown - 1].y = None;
                let next = Plan::new(settings.clone()).unwrap().next(&ahead, &[], &[]).unwrap();
                assert_eq!(next, Some(history[shown].showing), "{shown}");
            }
        }
    }

    #[test]
    fn a_batch_that_is_prepared_is_the_one_that_would_follow() {
        let settings = PlanOptions {
            mix: Mix::default(),
            ..options(210, Strategy::Adaptive(Features::none(210).into()))
        };
        let history = session(PlanOptions { per_document: 1, ..settings.clone() });
        let mut plan = Plan::new(settings).unwrap();
        let mut early = 0;
        for shown in 1..history.len() {
            let mut ahead = history[..shown].to_vec();
            ahead[shown - 1].y = None;
            assert_eq!(plan.next(&ahead, &[], &[]).unwrap(), Some(history[shown].showing), "{shown}");
            let before = plan.batches[0].as_ref().unwrap().first;
            plan.prepare(&ahead, &[]).unwrap();
            early += usize::from(plan.batches[0].as_ref().unwrap().first > before);
        }
        assert_eq!(early, 5, "batches of 21 are prepared before each of 105 pairs is shown");
    }

    #[test]
    fn two_screens_of_one_judge_share_a_plan() {
        for strategy in [Strategy::Balanced, Strategy::Adaptive(Features::none(20).into())] {
            let mut plan = Plan::new(options(20, strategy)).unwrap();
            let mut history = Vec::new();
            let mut screens = [None; 2];
            // The screens answer in turns, each with the other one's pair left alone.
            for turn in 0..40 {
                for screen in 0..2 {
                    let other: Vec<Pairing> = screens[1 - screen].iter().copied().collect();
                    if screens[screen].is_none() {
                        let next = plan.next(&history, &[], &other).unwrap();
                        screens[screen] = next.map(|showing| (showing.left, showing.right));
                    }
                }
                if let Some((left, right)) = screens[turn % 2].take() {
                    history.push(Shown { showing: Showing { left, right, kind: Kind::Regular }, y: None });
                }
            }
            let mut seen = pairs(&history);
            assert_eq!(seen.len(), 40);
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() >= 39, "{} different pairs", seen.len());
        }
    }

    #[test]
    fn a_list_with_sides_and_kinds_is_shown_as_it_is() {
        let given = |left, right, kind| Given { pair: (left, right), sided: true, kind };
        let list = vec![given(2, 0, Kind::Regular), given(1, 0, Kind::Gold), given(0, 2, Kind::Repeat)];
        let mix = Mix { repeats: 0.9, gold: 0.05, distance: 0 };
        let settings = PlanOptions { mix, gold: vec![(0, 1)], ..options(3, Strategy::Given(list.clone())) };
        let shown: Vec<Showing> = session(settings).iter().map(|shown| shown.showing).collect();
        let expected: Vec<Showing> =
            list.iter().map(|g| Showing { left: g.pair.0, right: g.pair.1, kind: g.kind }).collect();
        assert_eq!(shown, expected);
        // Regular pairs keep their side too.
        let sided: Vec<Given> = (1..20).map(|place| given(place, 0, Kind::Regular)).collect();
        let history = session(options(20, Strategy::Given(sided)));
        assert!(history.len() == 19 && history.iter().all(|shown| shown.showing.right == 0));
    }

    #[test]
    fn others_judgements_steer_the_adaptive_strategy() {
        let others: Vec<Comparison> =
            (1..10).flat_map(|place| [Comparison::new(place, place - 1, 1.0); 6]).collect();
        let settings =
            PlanOptions { per_document: 20, ..options(10, Strategy::Adaptive(Features::none(10).into())) };
        let gaps = |others: &[Comparison]| {
            let mut plan = Plan::new(settings.clone()).unwrap();
            let mut history: Vec<Shown> = Vec::new();
            let mut sum = 0;
            for _ in 0..40 {
                let showing = plan.next(&history, others, &[]).unwrap().unwrap();
                history.push(Shown { showing, y: None });
                sum += showing.left.abs_diff(showing.right);
            }
            sum
        };
        assert!(gaps(&others) < gaps(&[]), "{} {}", gaps(&others), gaps(&[]));
    }
}

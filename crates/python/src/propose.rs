//! Which pairs to judge next.

use std::collections::HashSet;

use pair2score_data::judgements::select::{AdaptiveOptions, Groups, Known, Mix, Showing, show_all};
use pair2score_data::judgements::{Comparison, Features, posterior_with};
use pair2score_data::rng;
use pyo3::prelude::*;

use crate::error::{Error, exception};

/// The place of two texts, and 1 where the first is better, 0 where the second is, 0.5 for a tie.
pub(crate) type Judged = (usize, usize, f64);

/// What is wanted.
pub(crate) struct Wanted {
    /// Pairs.
    pub(crate) n: usize,
    pub(crate) judged: Vec<Judged>,
    pub(crate) seed: u64,
    /// Share of pairs that are random, from 0 to below 1.
    pub(crate) random_share: f64,
}

impl Wanted {
    /// Pairs whose judgement is expected to tell most, as `pair2score pairs propose` chooses them.
    pub(crate) fn choose(&self, py: Python<'_>, features: &Features) -> PyResult<Vec<Showing>> {
        let Self { n, seed, random_share, .. } = *self;
        if !(0.0..1.0).contains(&random_share) {
            let problem =
                format!("random_share {random_share} is not a share; give a number from 0 to below 1");
            return Err(Error::new_err(problem));
        }
        let list = compared(&self.judged, features.n())?;
        let choose = || {
            let known = posterior_with(features, &list)?;
            let options = AdaptiveOptions { half_after: 0.0, least_random: random_share };
            let pool = Groups::all((0..features.n()).collect());
            let known = Known { list: &list, used: &HashSet::new(), posterior: &known };
            let mut pairs = pool.adaptive_new(known, n, &options, seed);
            rng::shuffle(&mut rng::stream(seed, &["propose"]), &mut pairs);
            let mix = Mix { repeats: 0.0, gold: 0.0, ..Mix::default() };
            Ok::<_, pair2score_data::DataError>(show_all(&pairs, &[], &mix, seed))
        };
        py.detach(choose).map_err(exception)
    }
}

/// Judgements of `n` texts by their places.
fn compared(judged: &[(usize, usize, f64)], n: usize) -> PyResult<Vec<Comparison>> {
    let compare = |(i, &(a, b, y)): (usize, &(usize, usize, f64))| {
        if a == b || a.max(b) >= n {
            let problem =
                format!("judged[{i}] is about {a} and {b}; give the places of two of the {n} texts");
            return Err(Error::new_err(problem));
        }
        if ![0.0, 0.5, 1.0].contains(&y) {
            return Err(Error::new_err(format!("judged[{i}] says {y}; give 1, 0, or 0.5 for a tie")));
        }
        Ok(Comparison::new(a, b, y))
    };
    judged.iter().enumerate().map(compare).collect()
}

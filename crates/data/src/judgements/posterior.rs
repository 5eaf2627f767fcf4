//! What is known of the utilities, for choosing the next pair: means, variances, and how far apart documents lie.
//!
//! The maximum that `fit` finds is what the answers say under a prior that hardly interferes. It cannot plan: where
//! pairs were chosen because they looked alike, and the prior is wider than the documents differ, differences grow from
//! the noise that chose them. A posterior is not misled by the choice of pairs, provided that its prior is right. So
//! the prior's standard deviations are estimated too: s of δ, and r of what texts tell. The posterior is the normal
//! distribution that is nearest to it (the variational bound; for binary answers the mode would put s a fifth too low),
//! where documents are told apart independently of each other but for what their features share:
//!
//! - the means maximise the log-posterior with each likelihood averaged over what is known of its logit;
//! - the variances come from the information averaged in the same way: of δ, to second order, those of each document and
//!   of the difference of two that were compared, and of the coefficients their whole covariance;
//! - s² = (Σ m² + s₀²) / (n − Σ v / s² + 1), with means m and variances v of δ, and r² likewise from the coefficients of
//!   the texts: the fixed point of MacKay (1992), as if one further document were known to lie at the usual distance s₀
//!   from what its features say, and one further coefficient had the usual size.
//!
//! What a scorer says has one coefficient, whose weak prior is given (`features`); its estimate is its mean.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use super::fit::{Fit, FitOptions, Problem};
use super::information::Information;
use super::{Comparison, Covariance, Features};
use crate::error::Result;

/// Where the spread of utilities begins, and stays as long as there are hardly any answers, logits.
const USUAL_SD: f64 = 2.0;

/// The largest s and r, logits. Answers that never contradict each other would raise it for ever; two documents this far
/// apart are told apart every time.
const MAX_SD: f64 = 10.0;

/// s and r are settled when they change by less than this share.
const TOLERANCE: f64 = 1e-3;

/// About ten suffice; more would change s by little.
const MAX_ROUNDS: usize = 50;

/// What is known of the utilities, as normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// The means, ν, and the prior with its estimated standard deviations.
    pub fit: Fit,
    /// Per document, logits²: of what it does not share with others.
    pub(super) own: Vec<f64>,
    /// `[n, k]`, logits: the rows' products are the covariances of utilities that features share.
    pub(super) shared: Array2<f64>,
    /// Per judgement, logits²: of the difference of its two δ.
    pub(super) judged: Vec<f64>,
}

impl Posterior {
    /// The variance of a document's utility, logits².
    pub fn variance(&self, document: usize) -> f64 {
        self.own[document] + squares(self.shared.row(document))
    }

    /// The variance of the difference of two documents' utilities, logits².
    pub fn difference_variance(&self, a: usize, b: usize) -> f64 {
        let apart = &self.shared.row(a) - &self.shared.row(b);
        self.own[a] + self.own[b] + squares(apart.view())
    }

    /// The mean of the variances of all utilities, logits²; 0 of no documents.
    pub fn mean_variance(&self) -> f64 {
        let n = self.own.len();
        (0..n).map(|document| self.variance(document)).sum::<f64>() / n.max(1) as f64
    }

    /// How far each document lies from what its features tell, as its judgements have it: the mean of δ in standard
    /// deviations of what that mean would be. Beyond 2.5 either way, judges saw something that the features do not tell.
    /// `None` for documents of which nobody judged anything.
    pub fn surprises(&self, features: &Features) -> Vec<Option<f64>> {
        let told = features.matrix().dot(&Array1::from(self.fit.coefficients.clone()));
        let usual = self.fit.options.prior_sd.powi(2);
        let of = |(document, told): (usize, &f64)| {
            let spread = (usual - self.own[document]).max(0.0);
            // Nothing but rounding is left of the prior where no judgement told anything.
            (spread > 1e-9 * usual).then(|| (self.fit.utilities[document] - told) / spread.sqrt())
        };
        told.iter().enumerate().map(of).collect()
    }

    /// Whether something was known of the documents beside their judgements.
    pub fn has_features(&self) -> bool {
        self.shared.ncols() > 0
    }

    /// Of some of the documents.
    pub(super) fn of(&self, documents: &[usize]) -> Self {
        let some =
            |values: &[f64]| -> Vec<f64> { documents.iter().map(|&document| values[document]).collect() };
        Self {
            fit: Fit { utilities: some(&self.fit.utilities), ..self.fit.clone() },
            own: some(&self.own),
            shared: self.shared.select(Axis(0), documents),
            judged: Vec::new(),
        }
    }

    /// The covariance of the utilities exactly, where this takes each δ as independent of the others. `list` has the
    /// judgements that this is the posterior of.
    ///
    /// # Errors
    /// As [`Covariance::at_maximum`].
    pub fn covariance(&self, features: &Features, list: &[Comparison]) -> Result<Covariance> {
        Covariance::averaged(features, list, &self.fit, self.logit_variances(list))
    }

    /// The variances of the logits of the judgements that this is the posterior of.
    fn logit_variances(&self, list: &[Comparison]) -> Vec<f64> {
        let shared = |comparison: &Comparison| {
            let apart = &self.shared.row(comparison.a) - &self.shared.row(comparison.b);
            squares(apart.view())
        };
        list.iter().zip(&self.judged).map(|(comparison, own)| own + shared(comparison)).collect()
    }
}

/// The posterior of `n` documents of which nothing else is known; every index in `list` is below `n`. Without comparisons
/// it is the prior.
///
/// # Errors
/// As [`fit`](super::fit).
pub fn posterior(n: usize, list: &[Comparison]) -> Result<Posterior> {
    posterior_with(&Features::none(n), list)
}

/// As [`posterior`], of documents of which something else is known.
///
/// # Errors
/// As [`fit`](super::fit).
pub fn posterior_with(features: &Features, list: &[Comparison]) -> Result<Posterior> {
    let (n, k) = features.matrix().dim();
    let usual = usual(features);
    let mut information = Information::new(n, list);
    let (coefficients, _) = features.prior(usual.text_sd);
    let utilities = features.matrix().dot(&coefficients).to_vec();
    let fit = Fit { utilities, coefficients: coefficients.to_vec(), nu: 0.0, options: usual };
    let judged = vec![0.0; list.len()];
    let mut known = Posterior { fit, own: vec![0.0; n], shared: Array2::zeros((n, k)), judged };
    let mut options = known.fit.options;
    for round in 0..MAX_ROUNDS {
        let problem = Problem::averaged(features, list, options, known.logit_variances(list));
        known.fit = problem.maximum(&mut information, Some(&known.fit))?;
        problem.inform(&mut information, &known.fit);
        known.judged = information.difference_variances(list);
        let next = known.learn(features, &information, usual)?;
        // The first round averages over nothing.
        let near = |next: f64, now: f64| (next / now).ln().abs() < TOLERANCE;
        if round > 0 && near(next.prior_sd, options.prior_sd) && near(next.text_sd, options.text_sd) {
            break;
        }
        options = next;
    }
    Ok(known)
}

/// The spread of utilities as it begins: half of their variance is told by what tells something.
fn usual(features: &Features) -> FitOptions {
    let untold = if features.is_empty() { 1.0 } else { 0.5 };
    let of_texts = if features.has_scorer() { 0.25 } else { 0.5 };
    FitOptions { prior_sd: USUAL_SD * f64::sqrt(untold), text_sd: USUAL_SD * f64::sqrt(of_texts) }
}

impl Posterior {
    /// Takes the variances from the information, and gives the prior that means and variances speak for.
    fn learn(
        &mut self,
        features: &Features,
        information: &Information,
        usual: FitOptions,
    ) -> Result<FitOptions> {
        let FitOptions { prior_sd, text_sd } = self.fit.options;
        let (n, k) = features.matrix().dim();
        self.own = information.variances();
        let coefficients = Array1::from(self.fit.coefficients.clone());
        let untold = Array1::from(self.fit.utilities.clone()) - features.matrix().dot(&coefficients);
        let mut undecided: f64 = self.own.iter().sum();
        let mut next = FitOptions { prior_sd, text_sd };
        if k > 0 {
            let eliminated = information.eliminate(1e-6).ok_or_else(|| super::fit::unsettled(prior_sd))?;
            // ln ν comes last, so that the first rows are those of the coefficients where ν is known.
            let rotated = |columns: Array2<f64>| {
                let mut rotated = Array2::zeros((k + 1, n));
                rotated.slice_mut(s![..k, ..]).assign(&columns.t());
                eliminated.factor.solve_lower(rotated.view_mut());
                rotated.slice(s![..k, ..]).t().as_standard_layout().into_owned()
            };
            let told = eliminated.told.slice(s![.., ..k]).to_owned();
            self.shared = rotated(&features.matrix() - &told);
            undecided += rotated(told).iter().map(|entry| entry * entry).sum::<f64>();
            let inverse = eliminated.factor.inverse_lower();
            let first = usize::from(features.has_scorer());
            let of_texts = inverse.slice(s![..k, first..k]).iter().map(|entry| entry * entry).sum::<f64>();
            let texts = features.of_texts(coefficients.view());
            next.text_sd = spread(squares(texts), texts.len(), of_texts, text_sd, usual.text_sd);
        }
        next.prior_sd = spread(untold.dot(&untold), n, undecided, prior_sd, usual.prior_sd);
        Ok(next)
    }
}

/// The standard deviation that `n` means with this sum of squares, and variances with this sum under a prior of standard
/// deviation `now`, speak for.
fn spread(squares: f64, n: usize, variances: f64, now: f64, usual: f64) -> f64 {
    let decided = (n as f64 - variances / now.powi(2)).max(0.0);
    ((squares + usual.powi(2)) / (decided + 1.0)).sqrt().min(MAX_SD)
}

fn squares(vector: ArrayView1<'_, f64>) -> f64 {
    vector.dot(&vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgements::select::balanced;
    use crate::judgements::simulate::{answer, normal};
    use crate::judgements::standard_errors;
    use crate::rng;

    /// Documents whose utilities have this spread, and their judgements in balanced random pairs.
    fn judged(n: usize, spread: f64, per_document: usize, seed: u64) -> (Vec<f64>, Vec<Comparison>) {
        let mut rng = rng::stream(seed, &["posterior"]);
        let truth: Vec<f64> = (0..n).map(|_| spread * normal(&mut rng)).collect();
        let judge = |(a, b)| Comparison::new(a, b, answer(truth[a], truth[b], 0.3, 1.0, &mut rng));
        let list = balanced(n, per_document, seed).into_iter().map(judge).collect();
        (truth, list)
    }

    #[test]
    fn no_comparisons_leave_the_usual_prior() {
        let known = posterior(3, &[]).unwrap();
        assert_eq!(known.fit.utilities, [0.0; 3]);
        assert!((0..3).all(|document| (known.variance(document) - USUAL_SD.powi(2)).abs() < 1e-12));
        assert!(posterior(0, &[]).unwrap().fit.utilities.is_empty());
    }

    #[test]
    fn the_spread_is_found_and_the_variances_are_the_errors() {
        for spread in [0.7, 1.5, 3.0] {
            let (mut sd, mut variance, mut error) = (0.0, 0.0, 0.0);
            for seed in 0..10 {
                let (truth, list) = judged(100, spread, 16, seed);
                let known = posterior(100, &list).unwrap();
                let mean = truth.iter().sum::<f64>() / 100.0;
                let errors =
                    known.fit.utilities.iter().zip(&truth).map(|(u, truth)| (u - truth + mean).powi(2));
                sd += known.fit.options.prior_sd / 10.0;
                variance += (0..100).map(|document| known.variance(document)).sum::<f64>() / 1000.0;
                error += errors.sum::<f64>() / 1000.0;
            }
            assert!((sd / spread).ln().abs() < 0.12, "{sd} is not {spread}");
            // The wider the spread, the more is promised too little, a fifth at 3: the posteriors are skewed and not
            // independent.
            assert!((variance / error).ln().abs() < 0.25, "{variance} promised, {error} found at {spread}");
        }
    }

    /// Whoever wins, the difference of two documents that nobody else was compared with says nothing about how far apart
    /// documents usually are: one answer is as likely under any spread.
    #[test]
    fn pairs_that_nothing_links_leave_the_usual_spread() {
        let list: Vec<Comparison> =
            (0..40).map(|pair| Comparison::new(2 * pair, 2 * pair + 1, 1.0)).collect();
        let found = posterior(80, &list).unwrap().fit.options.prior_sd;
        assert!((found / USUAL_SD).ln().abs() < 0.35, "{found}");
    }

    #[test]
    fn the_variances_are_nearly_those_of_the_whole_inverse() {
        let (_, list) = judged(100, 1.5, 12, 1);
        let options = FitOptions { prior_sd: 1.5, ..Default::default() };
        let fit = super::super::fit(100, &list, options, None).unwrap();
        let (features, mut information) = (Features::none(100), Information::new(100, &list));
        let variances = vec![0.0; list.len()];
        Problem::averaged(&features, &list, fit.options, variances).inform(&mut information, &fit);
        let exact = standard_errors(100, &list, &fit).unwrap();
        for (variance, exact) in information.variances().iter().zip(exact) {
            assert!((variance / exact.powi(2) - 1.0).abs() < 0.1, "{variance} is not {}", exact.powi(2));
        }
        let covariance = super::super::Covariance::at_maximum(&features, &list, &fit).unwrap();
        for (comparison, variance) in list.iter().zip(information.difference_variances(&list)).take(40) {
            let &Comparison { a, b, .. } = comparison;
            let of = covariance.columns(&[a, b]).unwrap();
            let exact = of[[a, 0]] + of[[b, 1]] - 2.0 * of[[a, 1]];
            assert!((variance / exact - 1.0).abs() < 0.1, "{variance} is not {exact}");
        }
    }

    #[test]
    fn answers_without_contradiction_have_a_posterior() {
        let list: Vec<Comparison> =
            balanced(30, 20, 1).into_iter().map(|(a, b)| Comparison::new(a, b, f64::from(a > b))).collect();
        let known = posterior(30, &list).unwrap();
        assert!(known.fit.options.prior_sd <= MAX_SD);
        assert!(known.fit.utilities[0] < -5.0 && known.fit.utilities[29] > 5.0, "{:?}", known.fit.utilities);
    }

    #[test]
    fn a_document_that_judges_place_elsewhere_stands_out() {
        let n = 40;
        let said: Vec<f64> = (0..n).map(f64::from).collect();
        let features = Features::new(Some(&said), None).unwrap();
        let mut rng = rng::stream(5, &["surprise"]);
        // Judges see what the scorer says, but for document 3, which is one of the best.
        let truth = |document: usize| if document == 3 { 3.0 } else { 0.1 * document as f64 - 2.0 };
        let judge = |(a, b)| Comparison::new(a, b, answer(truth(a), truth(b), 0.3, 1.0, &mut rng));
        let list: Vec<Comparison> = balanced(n as usize - 1, 16, 5).into_iter().map(judge).collect();
        let known = posterior_with(&features, &list).unwrap();
        let surprises = known.surprises(&features);
        assert!(surprises[3].unwrap() > 2.5, "{surprises:?}");
        assert!((0..39).filter(|place| surprises[*place].unwrap().abs() > 2.5).count() <= 2, "{surprises:?}");
        assert_eq!(surprises[39], None);
    }

    #[test]
    fn hardly_any_answers_stay_near_the_usual_spread() {
        let known = posterior(50, &[Comparison::new(0, 1, 1.0), Comparison::new(2, 3, 0.5)]).unwrap();
        assert!((1.0..2.5).contains(&known.fit.options.prior_sd), "{}", known.fit.options.prior_sd);
        assert!(known.fit.utilities[0] > 0.5 && known.variance(0) < known.variance(10));
    }
}

//! Thresholds between grades: those that maximise kappa with quadratic weights, drawn towards the line where documents
//! are few.
//!
//! The maximum is exact. Kappa is 1 - N / D, and with the labels given both N and D are sums over documents; so for a
//! fixed ratio λ the grades that minimise N - λ D are found by dynamic programming over the documents in order of their
//! scores, and the ratio of these grades is the next λ (Dinkelbach, 1967).

use pair2score_data::Grades;

use super::{by_score, linear};
use crate::metrics::quadratic_weighted_kappa;

/// Number of documents at which their thresholds count as much as the line's. Chosen on held-out ELLIPSE
/// essays with `scripts/studies/calibration.py`: thresholds that maximise kappa on 50 to 250 documents are worse on others
/// than the line, and these are a little better.
const DOCUMENTS_LIKE_LINE: f64 = 300.0;

/// The thresholds between grades: on the way from where the line rounds to the next grade to where kappa is highest,
/// the farther the more documents there are.
pub(super) fn thresholds(labels: &[f64], scores: &[f64], grades: &Grades) -> Vec<f64> {
    let line = linear(labels, scores, [grades.min, grades.max]);
    let [low, high] = [line[0][0], line[1][0]];
    let n_steps = (grades.n_grades() - 1) as f64;
    let rounding: Vec<f64> =
        (0..grades.n_grades() - 1).map(|k| low + (k as f64 + 0.5) / n_steps * (high - low)).collect();
    let weight = labels.len() as f64 / (labels.len() as f64 + DOCUMENTS_LIKE_LINE);
    let maximising = maximising(labels, scores, grades, &rounding);
    rounding.iter().zip(maximising).map(|(line, best)| line + weight * (best - line)).collect()
}

/// The thresholds that maximise kappa. Between two grades that both occur it is the middle of the neighbouring scores;
/// beyond the grades that occur it is that of `otherwise`, unless documents are in its way.
fn maximising(labels: &[f64], scores: &[f64], grades: &Grades, otherwise: &[f64]) -> Vec<f64> {
    let groups = by_score(scores);
    let classes: Vec<usize> = labels.iter().map(|&label| grades.index_nearest(label)).collect();
    let plain: Vec<usize> = groups.iter().map(|group| grades.index_nearest(scores[group[0]])).collect();
    let best = best_grades(&groups, &classes, grades.n_grades(), plain);
    let score = |group: usize| scores[groups[group][0]];
    let between = |(lower, otherwise): (usize, &f64)| match best.partition_point(|&grade| grade <= lower) {
        0 => otherwise.min(score(0)),
        n if n == best.len() => otherwise.max(score(n - 1).next_up()),
        // The middle of neighbours may round to the lower one.
        n => ((score(n - 1) + score(n)) / 2.0).max(score(n - 1).next_up()),
    };
    otherwise.iter().enumerate().map(between).collect()
}

/// Grades of groups of documents, not falling, that maximise kappa; `start` where nothing is above 0.
fn best_grades(groups: &[Vec<usize>], classes: &[usize], n_grades: usize, start: Vec<usize>) -> Vec<usize> {
    let n = classes.len() as f64;
    let mean = classes.iter().sum::<usize>() as f64 / n;
    let kappa = |grades: &[usize]| {
        let mut given = vec![0; classes.len()];
        groups.iter().zip(grades).for_each(|(group, &grade)| group.iter().for_each(|&i| given[i] = grade));
        quadratic_weighted_kappa(classes, &given, n_grades).unwrap_or(0.0)
    };
    let mut best = start;
    // With grades of chance kappa is 0: a start below is none.
    let mut highest = kappa(&best).max(0.0);
    loop {
        let ratio = 1.0 - highest;
        let cost = |group: &[usize], grade: usize| {
            let given = grade as f64;
            let chance = given * given - 2.0 * mean * given;
            group.iter().map(|&i| (classes[i] as f64 - given).powi(2) - ratio * chance).sum::<f64>()
        };
        let candidate = cheapest(groups, n_grades, cost);
        let reached = kappa(&candidate);
        // Each round is exact for its ratio, and no round can fall behind the one before.
        if reached <= highest {
            return best;
        }
        (best, highest) = (candidate, reached);
    }
}

/// The grades, not falling, with the lowest sum of costs.
fn cheapest(groups: &[Vec<usize>], n_grades: usize, cost: impl Fn(&[usize], usize) -> f64) -> Vec<usize> {
    // Lowest cost so far by the last grade, and for each group the grade before it.
    let mut costs = vec![0.0; n_grades];
    let mut before = Vec::with_capacity(groups.len());
    for group in groups {
        let mut from = 0;
        let previous: Vec<usize> = (0..n_grades)
            .map(|grade| {
                if costs[grade] < costs[from] {
                    from = grade;
                }
                from
            })
            .collect();
        costs = (0..n_grades).map(|grade| costs[previous[grade]] + cost(group, grade)).collect();
        before.push(previous);
    }
    let mut grade = (0..n_grades).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
    let mut grades = vec![0; groups.len()];
    for (place, previous) in before.iter().enumerate().rev() {
        grades[place] = grade;
        grade = previous[grade];
    }
    grades
}

#[cfg(test)]
mod tests {
    use pair2score_data::ScoreScale;
    use pair2score_data::rng::mix;

    use super::*;
    use crate::metrics::regression;

    const SCALE: Grades = Grades { min: 1.0, max: 4.0, step: 1.0 };

    /// Every way to give grades that do not fall.
    fn highest_kappa(labels: &[f64], scores: &[f64]) -> f64 {
        let groups = by_score(scores);
        let classes: Vec<usize> = labels.iter().map(|&label| SCALE.index_nearest(label)).collect();
        let n = SCALE.n_grades();
        let ways = n.pow(groups.len() as u32);
        let way = |number: usize| -> Vec<usize> {
            (0..groups.len()).map(|place| number / n.pow(place as u32) % n).collect()
        };
        let of = |grades: Vec<usize>| {
            let mut given = vec![0; labels.len()];
            groups.iter().zip(&grades).for_each(|(group, &g)| group.iter().for_each(|&i| given[i] = g));
            quadratic_weighted_kappa(&classes, &given, n).unwrap_or(f64::MIN)
        };
        (0..ways).map(way).filter(|grades| grades.is_sorted()).map(of).fold(f64::MIN, f64::max)
    }

    #[test]
    fn no_other_thresholds_reach_a_higher_kappa() {
        let mut fitted = 0;
        for case in 0..200_u64 {
            let random = |what: &str, document: usize, below: u64| {
                (mix(case, &[what, &document.to_string()]) % below) as f64
            };
            let labels: Vec<f64> = (0..7).map(|document| 1.0 + random("label", document, 4)).collect();
            // Few distinct scores, so that some are equal.
            let score = |(document, label)| 2.0 + 0.1 * label + 0.1 * random("score", document, 5);
            let scores: Vec<f64> = labels.iter().copied().enumerate().map(score).collect();
            let highest = highest_kappa(&labels, &scores);
            if highest <= 0.0 {
                continue;
            }
            let thresholds = maximising(&labels, &scores, &SCALE, &[1.5, 2.5, 3.5]);
            let grade = |score: &f64| SCALE.grade(thresholds.partition_point(|t| t <= score));
            let grades: Vec<f64> = scores.iter().map(grade).collect();
            let reached =
                regression(&labels, &grades, &ScoreScale::Graded(SCALE)).unwrap().qwk_nearest.unwrap();
            assert!((reached - highest).abs() < 1e-12, "{labels:?} {scores:?}: {reached} of {highest}");
            fitted += 1;
        }
        assert!(fitted > 100, "{fitted}");
    }

    #[test]
    fn grades_that_do_not_occur_keep_their_thresholds() {
        // Labels 2 and 3 only: 1 begins below all scores and 4 above them.
        let thresholds = maximising(&[2.0, 3.0], &[2.25, 2.375], &SCALE, &[1.5, 2.5, 3.5]);
        assert_eq!(thresholds, [1.5, 2.3125, 3.5]);
        // Documents in the way push both aside.
        let thresholds = maximising(&[2.0, 3.0], &[1.25, 3.75], &SCALE, &[1.5, 2.5, 3.5]);
        assert_eq!(thresholds, [1.25, 2.5, 3.75_f64.next_up()]);
    }
}

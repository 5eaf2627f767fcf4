use serde_json::Value;

use super::newton::{REACHED, sigmoid};
use super::*;

/// Random numbers without a crate: the logistic map of a linear congruential generator's high bits.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Documents of a world in which the model is true.
struct World {
    embeddings: Array2<f32>,
    /// What the text says, what it does not, both together.
    told: Vec<f64>,
    values: Vec<f64>,
    random: Random,
}

impl World {
    fn new(n: usize, d: usize, untold: f64, seed: u64) -> Self {
        let mut random = Random(seed);
        let weights: Vec<f64> = (0..d).map(|_| random.normal() / (d as f64).sqrt()).collect();
        let embeddings = Array2::from_shape_simple_fn((n, d), || random.normal() as f32);
        let told: Vec<f64> = embeddings
            .outer_iter()
            .map(|row| row.iter().zip(&weights).map(|(&x, w)| f64::from(x) * w).sum())
            .collect();
        let values = told.iter().map(|told| told + untold * random.normal()).collect();
        Self { embeddings, told, values, random }
    }

    /// Labels of the first documents, with this error.
    fn labels(&mut self, n: usize, error: f64) -> Vec<Option<f64>> {
        let values = self.values.clone();
        let label = |(document, value): (usize, f64)| {
            (document < n).then(|| 3.0 + 0.5 * (value + error * self.random.normal()))
        };
        values.into_iter().enumerate().map(label).collect()
    }

    /// Judgements of random pairs among the first documents.
    fn judgements(&mut self, n: usize, among: usize, slope: f64) -> Vec<Judgement> {
        let mut place = || (self.random.uniform() * among as f64) as usize;
        let pairs: Vec<(usize, usize)> = (0..n).map(|_| (place(), place())).filter(|(a, b)| a != b).collect();
        let judged = |(a, b): (usize, usize)| {
            let better = self.random.uniform() < sigmoid(slope * (self.values[a] - self.values[b]));
            Judgement { a, b, y: f64::from(u8::from(better)), weight: 1.0 }
        };
        pairs.into_iter().map(judged).collect()
    }

    /// Correlation of a head with what the texts from a place on say.
    fn correlation(&self, head: &Joint, from: usize) -> f64 {
        let said: Vec<f64> = self
            .embeddings
            .outer_iter()
            .skip(from)
            .map(|row| row.iter().zip(&head.weights).map(|(&x, w)| f64::from(x) * w).sum())
            .collect();
        let centred = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            Array1::from_iter(values.iter().map(|value| value - mean))
        };
        let (said, told) = (centred(&said), centred(&self.told[from..]));
        said.dot(&told) / (said.dot(&said) * told.dot(&told)).sqrt()
    }
}

/// Standardised rows with the column of ones, as `joint` makes them.
fn rows(embeddings: &Array2<f32>) -> Array2<f64> {
    let x = Standardisation::of(embeddings.view()).unwrap().apply(embeddings.view());
    concatenate(Axis(1), &[x.view(), Array2::ones((x.nrows(), 1)).view()]).unwrap()
}

const VARIANCES: Variances = Variances { weight: 0.2, untold: 0.3, label: 0.4, slope: 1.7 };

#[test]
fn without_judgements_it_is_the_ridge() {
    let mut world = World::new(30, 5, 0.5, 1);
    let labels = world.labels(20, 0.3);
    let head = joint(world.embeddings.view(), &labels, &[]).unwrap();
    let known: Vec<f64> = labels.iter().copied().flatten().collect();
    let embeddings = world.embeddings.slice(ndarray::s![..20, ..]);
    let expected = &ridge(embeddings, Array1::from(known).insert_axis(Axis(1)).view(), None).unwrap()[0];
    assert_eq!((&head.weights, head.intercept), (&expected.weights, expected.intercept));
    assert_eq!(head.leave_one_out, expected.leave_one_out);
}

#[test]
fn the_maximum_has_no_slope_in_any_direction() {
    let mut world = World::new(40, 4, 0.5, 2);
    let labels = world.labels(25, 0.3);
    // Some documents are labelled, some judged, some both.
    let judgements = world.judgements(60, 15, 2.0);
    let data = Data::new(rows(&world.embeddings), &labels, &judgements);
    let maximum = data.maximum(&VARIANCES, None, REACHED);
    let height =
        |weights: &Array1<f64>, untold: &Array1<f64>| data.log_posterior(weights, untold, &VARIANCES);
    let step = 1e-4;
    for place in 0..maximum.weights.len() {
        let mut moved = [maximum.weights.clone(), maximum.weights.clone()];
        moved[0][place] += step;
        moved[1][place] -= step;
        let slope = (height(&moved[0], &maximum.untold) - height(&moved[1], &maximum.untold)) / (2.0 * step);
        assert!(slope.abs() < 1e-4, "weight {place}: {slope}");
    }
    for place in 0..maximum.untold.len() {
        let mut moved = [maximum.untold.clone(), maximum.untold.clone()];
        moved[0][place] += step;
        moved[1][place] -= step;
        let slope =
            (height(&maximum.weights, &moved[0]) - height(&maximum.weights, &moved[1])) / (2.0 * step);
        assert!(slope.abs() < 1e-4, "untold {place}: {slope}");
    }
}

#[test]
fn a_label_integrated_out_counts_as_one_with_its_own_untold_part() {
    // A document that is labelled, and judged with next to no weight, has an untold part that the judgement leaves alone.
    let mut world = World::new(20, 3, 0.5, 3);
    let labels = world.labels(20, 0.3);
    let some = world.judgements(30, 6, 2.0);
    let nothing = Judgement { a: 10, b: 11, y: 1.0, weight: 1e-9 };
    let weights = |judgements: &[Judgement]| {
        Data::new(rows(&world.embeddings), &labels, judgements).maximum(&VARIANCES, None, REACHED).weights
    };
    for (a, b) in weights(&some).iter().zip(&weights(&[some.as_slice(), &[nothing]].concat())) {
        assert!((a - b).abs() < 1e-6);
    }
}

#[test]
fn left_out_labels_are_left_out() {
    let mut world = World::new(40, 4, 0.5, 4);
    let labels = world.labels(25, 0.3);
    let judgements = world.judgements(60, 15, 2.0);
    let x = rows(&world.embeddings);
    let said = |labels: &[Option<f64>], document: usize| {
        let maximum = Data::new(x.clone(), labels, &judgements).maximum(&VARIANCES, None, REACHED);
        x.row(document).dot(&maximum.weights)
    };
    let data = Data::new(x.clone(), &labels, &judgements);
    let maximum = data.maximum(&VARIANCES, None, REACHED);
    for (document, left_out) in evidence::without_label(&data, &maximum, &VARIANCES).into_iter().enumerate() {
        let mut others = labels.clone();
        others[document] = None;
        let (refitted, kept) = (said(&others, document), said(&labels, document));
        // The posterior is not quite normal where there are judgements.
        assert!(
            (left_out - refitted).abs() < 0.02 + 0.05 * (kept - refitted).abs(),
            "{document}: {left_out}, {refitted}"
        );
    }
}

#[test]
fn what_an_answer_says_does_not_depend_on_how_it_is_written() {
    let mut world = World::new(15, 3, 0.5, 5);
    let judgements = world.judgements(40, 15, 2.0);
    let none = vec![None; 15];
    let fit = |judgements: &[Judgement]| joint(world.embeddings.view(), &none, judgements).unwrap();
    let plain = fit(&judgements);
    let turned: Vec<_> =
        judgements.iter().map(|j| Judgement { a: j.b, b: j.a, y: 1.0 - j.y, ..*j }).collect();
    let halves: Vec<_> = judgements
        .iter()
        .flat_map(|j| [Judgement { weight: 0.5, ..*j }, Judgement { weight: 0.5, ..*j }])
        .collect();
    for other in [fit(&turned), fit(&halves)] {
        for (a, b) in plain.weights.iter().zip(&other.weights) {
            assert!((a - b).abs() < 1e-6);
        }
    }
    assert_eq!(plain.intercept, 0.0);
    assert!(plain.leave_one_out.is_empty());
}

#[test]
fn variances_of_a_world_are_found() {
    // In units of the label, half a value: τ² is 1/(4 d), ν² (0.8 / 2)², σ² (0.5 / 2)², κ 2 · 1.5.
    let (mut found, n) = (Vec::new(), 4.0);
    for seed in 0..4 {
        let mut world = World::new(300, 8, 0.8, 10 + seed);
        let labels = world.labels(300, 0.5);
        let judgements = world.judgements(3000, 300, 1.5);
        found.push(joint(world.embeddings.view(), &labels, &judgements).unwrap().variances.unwrap());
    }
    let mean = |part: fn(&Variances) -> f64| found.iter().map(part).sum::<f64>() / n;
    for (name, found, true_value) in [
        ("untold", mean(|v| v.untold), 0.16),
        ("label", mean(|v| v.label), 0.0625),
        ("slope", mean(|v| v.slope), 3.0),
    ] {
        assert!((found / true_value).ln().abs() < 0.25, "{name}: {found} is not {true_value}");
    }
}

#[test]
fn few_labels_set_the_scale_of_many_judgements() {
    // Each document is judged twice or so, which alone says next to nothing about what its text does not tell.
    let (mut slopes, n) = (0.0, 4.0);
    for seed in 0..4 {
        let mut world = World::new(500, 20, 0.8, 200 + seed);
        let labels = world.labels(40, 0.1);
        let judgements = world.judgements(500, 300, 2.5);
        let head = joint(world.embeddings.view(), &labels, &judgements).unwrap();
        // Labels are half a value; what texts say, regressed on what the head says of them.
        let said = Array1::from_iter(world.embeddings.outer_iter().skip(300).map(|row| {
            head.intercept + row.iter().zip(&head.weights).map(|(&x, w)| f64::from(x) * w).sum::<f64>()
        }));
        let told = Array1::from_iter(world.told[300..].iter().map(|told| 3.0 + 0.5 * told));
        let (said, told) = (&said - said.mean().unwrap(), &told - told.mean().unwrap());
        slopes += said.dot(&told) / said.dot(&said) / n;
    }
    assert!((0.75..1.35).contains(&slopes), "{slopes}");
}

#[test]
fn judges_who_never_err_leave_the_scale_to_the_labels() {
    // Of 400 judged documents 40 have a grade; texts tell a third of it. The last 100 are neither judged nor graded.
    let (mut errors, mut errors_of_ridge) = (0.0, 0.0);
    for seed in 0..3 {
        let mut world = World::new(500, 20, 1.5, 300 + seed);
        let grades: Vec<f64> =
            world.values.iter().map(|value| (3.0 + 0.6 * value).round().clamp(1.0, 5.0)).collect();
        let labels: Vec<_> = (0..500).map(|document| (document < 40).then_some(grades[document])).collect();
        let mut judgements = Vec::new();
        while judgements.len() < 900 {
            let [a, b] = [(); 2].map(|()| (world.random.uniform() * 400.0) as usize);
            if grades[a] != grades[b] {
                let y = f64::from(u8::from(grades[a] > grades[b]));
                judgements.push(Judgement { a, b, y, weight: 1.0 });
            }
        }
        let head = joint(world.embeddings.view(), &labels, &judgements).unwrap();
        let known = Array2::from_shape_fn((40, 1), |(document, _)| grades[document]);
        let alone = &ridge(world.embeddings.slice(ndarray::s![..40, ..]), known.view(), None).unwrap()[0];
        let said = |weights: &Array1<f64>, intercept: f64| -> Vec<f64> {
            let rows = world.embeddings.outer_iter();
            rows.map(|row| intercept + row.mapv(f64::from).dot(weights)).collect()
        };
        let error = |said: &[f64]| {
            said.iter().zip(&grades).skip(400).map(|(said, grade)| (said - grade).abs()).sum::<f64>() / 100.0
        };
        let all = said(&head.weights, head.intercept);
        errors += error(&all) / 3.0;
        errors_of_ridge += error(&said(&alone.weights, alone.intercept)) / 3.0;
        // Without a bound on what texts do not tell, they reach from -1 to 10.
        assert!(all.iter().all(|said| (0.0..6.0).contains(said)), "seed {seed}: {all:?}");
    }
    assert!(errors < errors_of_ridge + 0.05, "{errors} against {errors_of_ridge} of the ridge");
}

#[test]
fn an_expectation_over_a_normal_number_is_that_of_a_sum() {
    for (mean, deviation) in [(0.0, 0.0), (0.7, 0.3), (-2.0, 1.5), (1.0, 2.5)] {
        let steps = (-4000..=4000).map(|step| f64::from(step) / 500.0);
        let (sum, weight) = steps.fold((0.0, 0.0), |(sum, all), z| {
            let weight = (-z * z / 2.0).exp();
            (sum + weight * newton::softplus(mean + deviation * z), all + weight)
        });
        let (expected, found) = (sum / weight, evidence::expected_softplus(mean, deviation));
        assert!((found - expected).abs() < 5e-3, "{mean} {deviation}: {found} is not {expected}");
    }
}

#[test]
fn both_together_are_no_worse_than_the_better_one() {
    // Few labels and many judgements, many labels and judgements of the same documents, judgements that are noise.
    for (labels, judgements, slope) in [(15, 400, 2.0), (200, 600, 2.0), (100, 300, 0.0)] {
        let (mut both, mut best) = (0.0, 0.0);
        for seed in 0..3 {
            let mut world = World::new(400, 20, 0.8, 100 + seed);
            let labels = world.labels(labels, 0.3);
            let judgements = world.judgements(judgements, 200, slope);
            let none = vec![None; labels.len()];
            let fit = |labels: &[Option<f64>], judgements: &[Judgement]| {
                let head = joint(world.embeddings.view(), labels, judgements).unwrap();
                world.correlation(&head, 200)
            };
            both += fit(&labels, &judgements) / 3.0;
            best += f64::max(fit(&labels, &[]), fit(&none, &judgements)) / 3.0;
        }
        assert!(both > best - 0.01, "{labels} labels, {judgements} judgements: {both} against {best}");
    }
}

#[test]
fn the_head_of_judgements_is_that_of_scikit_learn() {
    let fixture: Value = serde_json::from_str(include_str!("../../tests/fixtures/logistic.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let x: Vec<Vec<f64>> = fixture["x"].as_array().unwrap().iter().map(numbers).collect();
    let d = x[0].len();
    let x = Array2::from_shape_fn((x.len(), d + 1), |(i, j)| if j == d { 1.0 } else { x[i][j] });
    let judgements: Vec<Judgement> = fixture["judgements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|judgement| {
            let [a, b, y, weight] = numbers(judgement).try_into().unwrap();
            Judgement { a: a as usize, b: b as usize, y, weight }
        })
        .collect();
    let labels = vec![None; x.nrows()];
    // Next to nothing is untold, as in a logistic regression.
    let variances =
        Variances { weight: fixture["variance"].as_f64().unwrap(), untold: 1e-7, label: 1.0, slope: 1.0 };
    let maximum = Data::new(x, &labels, &judgements).maximum(&variances, None, REACHED);
    for (weight, expected) in maximum.weights.iter().zip(numbers(&fixture["weights"])) {
        assert!((weight - expected).abs() < 1e-5, "{weight} is not {expected}");
    }
}

//! Seconds that a ridge fit of six targets and a joint head take:
//! `cargo run --release -p pair2score-heads --example timing`.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use ndarray::Array2;
use pair2score_heads::{Judgement, joint, ridge};

fn main() {
    for (n, d) in [(2_000, 576), (6_000, 2_048)] {
        let embeddings =
            Array2::from_shape_fn((n, d), |(i, j)| ((i * 131 + j * 71 + i * j * 13) as f32).sin());
        let labels = Array2::from_shape_fn((n, 6), |(i, target)| ((i * 7 + target) as f64).cos());
        let started = Instant::now();
        let heads = ridge(embeddings.view(), labels.view(), None).expect("the numbers are finite");
        println!("{n} x {d}: {:.1} s for {} targets", started.elapsed().as_secs_f64(), heads.len());
    }
    // As ELLIPSE with SmolLM2-135M: most documents are judged about twice, and texts tell half of what judges see.
    let (n, d, judgements) = (1_600, 576, 2_000);
    let hash = |i: usize, j: usize| {
        (((i * 2_654_435_761 + j * 40_503 + i * j * 97) % 10_007) as f32 / 5_003.5) - 1.0
    };
    let embeddings = Array2::from_shape_fn((n, d), |(i, j)| hash(i, j) / (1 + j / 8) as f32);
    let value = |i: usize| f64::from((0..d).map(|j| embeddings[[i, j]]).sum::<f32>() + hash(i, 7_919));
    for labelled in [20, 320] {
        let labels: Vec<Option<f64>> = (0..n).map(|i| (i < labelled).then(|| value(i))).collect();
        let judged = |k: usize| {
            let (a, b) = (k * 7 % n, (k * 11 + 1) % n);
            let noise = f64::from(hash(k, 31));
            (a != b).then(|| Judgement {
                a,
                b,
                y: f64::from(u8::from(value(a) + noise > value(b))),
                weight: 1.0,
            })
        };
        let judgements: Vec<Judgement> = (0..judgements).filter_map(judged).collect();
        let started = Instant::now();
        let head = joint(embeddings.view(), &labels, &judgements).expect("the numbers are finite");
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{n} x {d}, {labelled} labels, {} judgements: {seconds:.1} s {:?}",
            judgements.len(),
            head.variances
        );
    }
}

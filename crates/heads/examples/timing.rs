//! Seconds that a ridge fit of six targets takes: `cargo run --release -p pair2score-heads --example timing`.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use ndarray::Array2;
use pair2score_heads::ridge;

fn main() {
    for (n, d) in [(2_000, 576), (20_000, 2_048)] {
        let embeddings =
            Array2::from_shape_fn((n, d), |(i, j)| ((i * 131 + j * 71 + i * j * 13) as f32).sin());
        let labels = Array2::from_shape_fn((n, 6), |(i, target)| ((i * 7 + target) as f64).cos());
        let started = Instant::now();
        let heads = ridge(embeddings.view(), labels.view()).expect("the numbers are finite");
        println!("{n} x {d}: {:.1} s for {} targets", started.elapsed().as_secs_f64(), heads.len());
    }
}

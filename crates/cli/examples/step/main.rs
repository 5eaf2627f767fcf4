//! Times one kind of work and prints one line of JSON, for `scripts/bench/steps.sh` and `scripts/gpu_check.sh`.
//!
//! `cargo run --release -p pair2score-cli --example step -- SHAPE LENGTHS WORK REPEATS [f32|bf16|q8] [PRODUCT]`
//!
//! On a card PRODUCT names what multiplies, `step products` prints the names, and without one cubek chooses.
#![allow(clippy::print_stdout, reason = "a program that prints")]

#[path = "../../src/memory.rs"]
mod memory;
mod workload;

use std::time::Instant;

use burn::backend::Autodiff;
use burn::tensor::DType;
use pair2score_train::TrainBackend;
use workload::{Bench, Work, peak_memory, peak_rate, processor_seconds, tokens};

fn main() {
    memory::keep_freed_memory();
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(feature = "cuda")]
    if args == ["products"] {
        pair2score_model::product_names().for_each(|name| println!("{name}"));
        return;
    }
    let [shape, lengths, work, repeats, rest @ ..] = args.as_slice() else {
        panic!("usage: step SHAPE LENGTHS WORK REPEATS [f32|bf16|q8] [PRODUCT]");
    };
    let work =
        Work::ALL.into_iter().find(|w| w.name() == work).expect("forward, stage1, stage1_shared or stage2");
    let repeats: usize = repeats.parse().expect("a number of repeats");
    let weights = rest.first().map_or("f32", String::as_str);
    #[cfg(feature = "cuda")]
    if let Some(product) = rest.get(1) {
        pair2score_model::choose_product(product).expect("a name that `step products` prints");
    }
    #[cfg(feature = "cuda")]
    run::<Autodiff<burn::backend::Cuda>>(shape, lengths, work, repeats, weights, "cuda");
    #[cfg(all(feature = "cpu", not(feature = "cuda")))]
    run::<Autodiff<burn::backend::Flex>>(shape, lengths, work, repeats, weights, "cpu");
}

fn run<B: TrainBackend>(shape: &str, lengths: &str, work: Work, repeats: usize, weights: &str, name: &str)
where
    B::Device: Default,
{
    let device = B::Device::default();
    let dtype = if weights == "bf16" { DType::BF16 } else { DType::F32 };
    let mut bench = Bench::<B>::new(shape, lengths, dtype, device.clone());
    if weights == "q8" {
        assert_eq!(work, Work::Forward, "packed weights are for inference");
        bench.pack();
    }
    // The first step also allocates and, on a GPU, compiles.
    let mut value = bench.run(work);
    let processor = processor_seconds();
    let mut seconds: Vec<f64> = (0..repeats)
        .map(|_| {
            let started = Instant::now();
            value = bench.run(work);
            started.elapsed().as_secs_f64()
        })
        .collect();
    let processor = processor_seconds().zip(processor).map(|(end, start)| (end - start) / repeats as f64);
    seconds.sort_by(f64::total_cmp);
    let median = seconds[repeats / 2];
    // The memory of the product that measures the peak rate must not count.
    let memory = peak_memory();
    let peak = peak_rate::<B::InnerBackend>(dtype, &device);
    println!(
        "{}",
        serde_json::json!({
            "who": "pair2score", "device": name, "shape": shape, "lengths": lengths, "work": work.name(),
            "weights": weights, "seconds": median, "processor_seconds": processor, "tokens_per_second": tokens(lengths, work) as f64 / median,
            "gflops": bench.flops(work) / median / 1e9, "peak_gflops": peak / 1e9,
            "share_of_peak": bench.flops(work) / median / peak, "peak_mib": memory, "value": value,
        })
    );
}

//! Criterion benchmarks of a forward pass and a step of each stage, in real tokens per second.
//!
//! `cargo bench -p pair2score-cli`; a shape by name: `cargo bench -p pair2score-cli -- smollm2_135m`. The full 1B shape
//! takes minutes a step on a CPU and 8 GiB, so it runs only where `PAIR2SCORE_BENCH_FULL` is set.

mod workload;

use std::time::Duration;

use burn::backend::{Autodiff, Flex};
use burn::tensor::DType;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use workload::{Bench, Work};

fn steps(criterion: &mut Criterion) {
    let full = std::env::var_os("PAIR2SCORE_BENCH_FULL").is_some();
    let shapes = ["demo", "smollm2_135m", "llama_1b_layer", "llama_1b"];
    for shape in shapes.into_iter().filter(|shape| full || *shape != "llama_1b") {
        let mut group = criterion.benchmark_group(shape);
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(1))
            .measurement_time(Duration::from_secs(1));
        for lengths in ["real", "full"] {
            // Made when the first of its works is chosen: the weights of a shape that is filtered out cost nothing.
            let mut bench = None;
            for work in Work::ALL {
                group.throughput(Throughput::Elements(workload::tokens(lengths, work) as u64));
                let id = BenchmarkId::new(work.name(), lengths);
                group.bench_function(id, |bencher| {
                    let bench = bench.get_or_insert_with(|| {
                        Bench::<Autodiff<Flex>>::new(shape, lengths, DType::F32, Default::default())
                    });
                    bencher.iter(|| bench.run(work));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);

//! Causal grouped-query attention with rotary embedding, in blocks of queries (after Dao et al. 2022,
//! arXiv:2205.14135: nothing quadratic is kept, the backward pass recomputes the weights).

use burn_flex::Flex;
use pulp::Arch;

use super::matrix::{Matrix, Target};
use super::product::product;
use super::{Dense, filled, simd, tasks};
use crate::kernels::{AttentionPlan, composed};

/// Queries per block: the block's scores against 512 keys fill 128 KiB.
const BLOCK: usize = 64;

/// Output `[slots, n_heads · head_dim]` and log-sums `[slots, n_heads]` of the queries; zero on padding. There may be more
/// keys and values than queries, of tokens before theirs, where the batch is one document.
pub(super) fn forward([q, k, v]: [&[f32]; 3], plan: &AttentionPlan<Flex>) -> (Vec<f32>, Vec<f32>) {
    let geometry = Geometry::new(plan);
    let Geometry { heads, kv_heads, group, d, .. } = geometry;
    let slots = q.len() / (heads * d);
    let earlier = k.len() / (kv_heads * d) - slots;
    assert!(
        earlier == 0 || plan.spans.iter().eq([&(0..earlier + slots)]),
        "of several documents all queries are there"
    );
    let of_tasks = tasks(geometry.n_tasks(), |task| {
        let head = geometry.task(task, k);
        let value = head.view(v);
        let n_queries = head.n - earlier;
        let mut output = vec![0.0; n_queries * group * d];
        let mut log_sums = vec![0.0; group * n_queries];
        let mut scores = vec![0.0; BLOCK * head.n];
        for member in 0..group {
            let queries = head.queries(q, member, earlier);
            for (query, rows) in blocks(n_queries) {
                let first = earlier + query;
                let keys = first + rows;
                product(
                    Matrix::rows(&queries[query * d..], rows, d, d),
                    Matrix::rows(&head.keys, keys, d, d).transposed(),
                    &mut Target { values: &mut scores, rows, columns: keys, stride: keys, add: false },
                );
                let mut sums = [0.0; BLOCK];
                for r in 0..rows {
                    let seen = first + r + 1;
                    let row = &mut scores[r * keys..(r + 1) * keys];
                    let (sum, max) = simd::exp_row(head.arch, &mut row[..seen]);
                    row[seen..].fill(0.0);
                    sums[r] = sum;
                    log_sums[member * n_queries + query + r] = max + sum.ln();
                }
                let offset = query * group * d + member * d;
                product(
                    Matrix::rows(&scores, rows, keys, keys),
                    value.top(keys),
                    &mut Target {
                        values: &mut output[offset..],
                        rows,
                        columns: d,
                        stride: group * d,
                        add: false,
                    },
                );
                for r in 0..rows {
                    let row = &mut output[offset + r * group * d..][..d];
                    row.iter_mut().for_each(|x| *x /= sums[r]);
                }
            }
        }
        (output, log_sums)
    });

    let output = geometry.gathered(slots, group * d, earlier, |task| &of_tasks[task].0);
    let mut log_sum = vec![0.0; slots * heads];
    for (task, (_, sums)) in of_tasks.iter().enumerate() {
        let (row, kv) = (task / kv_heads, task % kv_heads);
        let span = plan.spans[row].start..plan.spans[row].end - earlier;
        for (member, sums) in sums.chunks_exact(span.len()).enumerate() {
            for (slot, sum) in span.clone().zip(sums) {
                log_sum[slot * heads + kv * group + member] = *sum;
            }
        }
    }
    (output, log_sum)
}

/// Gradients with respect to queries, keys and values, in their shapes; zero on padding.
pub(super) fn backward(
    [q, k, v, output, log_sum, grad]: [&[f32]; 6],
    plan: &AttentionPlan<Flex>,
) -> [Vec<f32>; 3] {
    let geometry = Geometry::new(plan);
    let Geometry { heads, group, d, .. } = geometry;
    let of_tasks = tasks(geometry.n_tasks(), |task| {
        let head = geometry.task(task, k);
        let value = head.view(v);
        let n = head.n;
        let mut grad_queries = vec![0.0; n * group * d];
        let (mut grad_keys, mut grad_values) = (vec![0.0; n * d], vec![0.0; n * d]);
        let (mut weights, mut scores) = (vec![0.0; BLOCK * n], vec![0.0; BLOCK * n]);
        for member in 0..group {
            let queries = head.queries(q, member, 0);
            let at = head.kv * group + member;
            let sums = |i: usize| log_sum[(head.start + i) * heads + at];
            let of_member = |x| head.member_view(x, member);
            let (grad, output) = (of_member(grad), of_member(output));
            for (first, rows) in blocks(n) {
                let keys = first + rows;
                let block = Matrix::rows(&queries[first * d..], rows, d, d);
                let all_keys = Matrix::rows(&head.keys, keys, d, d);
                let grad_block = grad.slice(first, rows);
                let square = |values| Target { values, rows, columns: keys, stride: keys, add: false };
                product(block, all_keys.transposed(), &mut square(&mut weights));
                product(grad_block, value.top(keys).transposed(), &mut square(&mut scores));
                for r in 0..rows {
                    let seen = first + r + 1;
                    let (weights, scores) =
                        (&mut weights[r * keys..(r + 1) * keys], &mut scores[r * keys..(r + 1) * keys]);
                    simd::weights_row(head.arch, &mut weights[..seen], sums(first + r));
                    weights[seen..].fill(0.0);
                    let mean: f32 = (0..d).map(|c| grad.at(first + r, c) * output.at(first + r, c)).sum();
                    simd::softmax_gradient_row(head.arch, &mut scores[..seen], &weights[..seen], mean);
                    scores[seen..].fill(0.0);
                }
                let weights = Matrix::rows(&weights, rows, keys, keys);
                let scores = Matrix::rows(&scores, rows, keys, keys);
                let tall = |values| Target { values, rows: keys, columns: d, stride: d, add: true };
                product(weights.transposed(), grad_block, &mut tall(&mut grad_values));
                product(scores.transposed(), block, &mut tall(&mut grad_keys));
                product(
                    scores,
                    all_keys,
                    &mut Target {
                        values: &mut grad_queries[first * group * d + member * d..],
                        rows,
                        columns: d,
                        stride: group * d,
                        add: false,
                    },
                );
            }
        }
        head.rotate_back(&mut grad_queries, group, head.scale);
        head.rotate_back(&mut grad_keys, 1, 1.0);
        [grad_queries, grad_keys, grad_values]
    });

    let slots = q.len() / (heads * d);
    [(0, group * d), (1, d), (2, d)]
        .map(|(i, width)| geometry.gathered(slots, width, 0, |task| &of_tasks[task][i]))
}

/// Sizes of a call; a task is one key head of one document.
struct Geometry<'a> {
    plan: &'a AttentionPlan<Flex>,
    cos: Dense,
    sin: Dense,
    rows: usize,
    heads: usize,
    kv_heads: usize,
    group: usize,
    d: usize,
}

impl<'a> Geometry<'a> {
    fn new(plan: &'a AttentionPlan<Flex>) -> Self {
        let table = |x: &burn::tensor::Tensor<Flex, 2>| Dense::new(composed::unwrap(x.clone()));
        Self {
            plan,
            cos: table(&plan.rotary.cos),
            sin: table(&plan.rotary.sin),
            rows: plan.spans.len(),
            heads: plan.n_heads,
            kv_heads: plan.n_kv_heads,
            group: plan.n_heads / plan.n_kv_heads,
            d: plan.head_dim,
        }
    }

    fn n_tasks(&self) -> usize {
        self.rows * self.kv_heads
    }

    fn task(&self, task: usize, keys: &[f32]) -> Head<'_> {
        let (row, kv) = (task / self.kv_heads, task % self.kv_heads);
        let span = &self.plan.spans[row];
        let scale = (self.d as f32).powf(-0.5);
        let mut head = Head {
            geometry: self,
            kv,
            start: span.start,
            n: span.len(),
            keys: Vec::new(),
            scale,
            arch: Arch::new(),
        };
        head.keys = head.rotated(keys, self.kv_heads, kv, 1.0, 0);
        head
    }

    /// The `[n, width]` of every task as `[slots, kv_heads · width]`; zero between the documents. Where the batch is one
    /// document, `earlier` of its tokens may have no slot.
    fn gathered<'b>(
        &self,
        slots: usize,
        width: usize,
        earlier: usize,
        part: impl Fn(usize) -> &'b [f32] + Sync,
    ) -> Vec<f32> {
        let stride = self.kv_heads * width;
        let ([whole], _) = filled(slots, [stride], BLOCK, |first, [lines]| {
            for (slot, line) in (first..).zip(lines.chunks_exact_mut(stride)) {
                // The documents are in the order of their slots.
                let row = self.plan.spans.partition_point(|span| span.end <= slot + earlier);
                let Some(i) = self.plan.spans.get(row).and_then(|span| slot.checked_sub(span.start)) else {
                    continue;
                };
                for (kv, place) in line.chunks_exact_mut(width).enumerate() {
                    place.copy_from_slice(&part(row * self.kv_heads + kv)[i * width..][..width]);
                }
            }
        });
        whole
    }
}

/// First query and number of queries of each block.
fn blocks(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).step_by(BLOCK).map(move |first| (first, BLOCK.min(n - first)))
}

/// One key head of one document.
struct Head<'a> {
    geometry: &'a Geometry<'a>,
    kv: usize,
    start: usize,
    n: usize,
    /// Rotated, `[n, d]`.
    keys: Vec<f32>,
    scale: f32,
    arch: Arch,
}

impl Head<'_> {
    /// Rotated and scaled queries of a member of the group, `[n - earlier, d]`, of the tokens behind the `earlier` ones.
    fn queries(&self, q: &[f32], member: usize, earlier: usize) -> Vec<f32> {
        let Geometry { heads, group, .. } = *self.geometry;
        self.rotated(q, heads, self.kv * group + member, self.scale, earlier)
    }

    /// This head's part of a tensor `[slots, heads · d]`, without a copy.
    fn view<'b>(&self, x: &'b [f32]) -> Matrix<'b> {
        self.part(x, self.geometry.kv_heads, self.kv)
    }

    fn member_view<'b>(&self, x: &'b [f32], member: usize) -> Matrix<'b> {
        let Geometry { heads, group, .. } = *self.geometry;
        self.part(x, heads, self.kv * group + member)
    }

    fn part<'b>(&self, x: &'b [f32], heads: usize, head: usize) -> Matrix<'b> {
        let d = self.geometry.d;
        let stride = heads * d;
        Matrix::rows(&x[self.start * stride + head * d..], self.n, d, stride)
    }

    /// Of the tokens behind the `earlier` ones, which begin `x`.
    fn rotated(&self, x: &[f32], heads: usize, head: usize, scale: f32, earlier: usize) -> Vec<f32> {
        let d = self.geometry.d;
        let part = self.part(x, heads, head);
        let mut rotated = vec![0.0; (self.n - earlier) * d];
        for (i, output) in rotated.chunks_exact_mut(d).enumerate() {
            let line = &part.values[i * part.row_stride..][..d];
            simd::rotate_row(self.arch, line, self.turn(earlier + i), scale, output);
        }
        rotated
    }

    /// Undoes the rotation of `[n, heads · d]` in place and multiplies by `scale`.
    fn rotate_back(&self, x: &mut [f32], heads: usize, scale: f32) {
        let d = self.geometry.d;
        for (i, line) in x.chunks_exact_mut(heads * d).enumerate() {
            let (cos, sin) = self.turn(i);
            for head in line.chunks_exact_mut(d) {
                let (first, second) = head.split_at_mut(d / 2);
                for ((a, b), (c, s)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                    (*a, *b) = ((*a * c + *b * s) * scale, (*b * c - *a * s) * scale);
                }
            }
        }
    }

    fn turn(&self, i: usize) -> (&[f32], &[f32]) {
        let half = self.geometry.d / 2;
        let at = i * half;
        (&self.geometry.cos.values()[at..at + half], &self.geometry.sin.values()[at..at + half])
    }
}

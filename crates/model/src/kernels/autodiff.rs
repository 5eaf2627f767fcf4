//! Gradients: a kernel on `Autodiff<B>` runs on `B` and registers its backward kernel.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::base::Checkpointer,
    checkpoint::strategy::CheckpointStrategy,
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::tensor::{Tensor, ops::FloatTensor};

use super::{AttentionPlan, Kernels, LowRankInput, PaddedLayout, SavedAttention, SavedNorm, composed};
use crate::RotaryTable;

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    const NEEDS_PADDING: bool = B::NEEDS_PADDING || B::BACKWARD_NEEDS_PADDING;
    const IN_PARTS: bool = B::IN_PARTS;

    fn rotary_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        plan: &AttentionPlan<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let plan = inner(plan);
        let (output, log_sum) = B::rotary_attention(
            queries.primitive.clone(),
            keys.primitive.clone(),
            values.primitive.clone(),
            &plan,
        );
        let nodes = [queries.node.clone(), keys.node.clone(), values.node.clone()];
        let output = match AttentionGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let saved = SavedAttention {
                    queries: queries.primitive,
                    keys: keys.primitive,
                    values: values.primitive,
                    output: output.clone(),
                    log_sum: log_sum.clone(),
                    plan,
                };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, untracked::<B, C>(log_sum))
    }

    fn gated_silu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = B::gated_silu(gate.primitive.clone(), up.primitive.clone());
        let nodes = [gate.node.clone(), up.node.clone()];
        match GatedSiluGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gate.primitive, up.primitive), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn projection(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = B::projection(x.primitive.clone(), weight.primitive.clone());
        let nodes = [x.node.clone(), weight.node.clone()];
        // Only the gradient of a weight needs the input; a frozen one keeps nothing.
        let x = (!weight.node.requirement.is_none()).then_some(x.primitive);
        match ProjectionGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight.primitive), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (output, scale) = B::rms_norm(x.primitive.clone(), weight.primitive.clone(), eps);
        let nodes = [x.node.clone(), weight.node.clone()];
        let output = match NormGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let saved = SavedNorm { x: x.primitive, weight: weight.primitive, scale: scale.clone() };
                prep.finish(saved, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, untracked::<B, C>(scale))
    }

    fn low_rank(
        base: FloatTensor<Self>,
        input: &LowRankInput<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [&base, &input.x, &input.a, &input.b].map(|tensor| tensor.node.clone());
        let input = LowRankInput {
            x: input.x.primitive.clone(),
            a: input.a.primitive.clone(),
            b: input.b.primitive.clone(),
            scale: input.scale,
            dropout: input.dropout,
        };
        let (output, low) = B::low_rank(base.primitive, &input);
        let output = match LowRankGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((input, low.clone()), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, untracked::<B, C>(low))
    }

    // Gradients of gradients are never asked for: the backward kernels run on the inner backend.
}

/// A by-product of a forward pass: nothing differentiates through it.
fn untracked<B: Kernels, C: CheckpointStrategy>(x: FloatTensor<B>) -> FloatTensor<Autodiff<B, C>> {
    Tensor::<Autodiff<B, C>, 2>::from_inner(composed::wrap::<B, 2>(x)).into_primitive().tensor()
}

fn inner<B: Kernels, C: CheckpointStrategy>(plan: &AttentionPlan<Autodiff<B, C>>) -> AttentionPlan<B> {
    AttentionPlan {
        spans: plan.spans.clone(),
        n_heads: plan.n_heads,
        n_kv_heads: plan.n_kv_heads,
        head_dim: plan.head_dim,
        rotary: RotaryTable { cos: plan.rotary.cos.clone().inner(), sin: plan.rotary.sin.clone().inner() },
        padded: plan.padded.clone().map(|layout| PaddedLayout {
            slots: layout.slots.inner(),
            cells: layout.cells.inner(),
            mask: layout.mask.inner(),
            real: layout.real.map(Tensor::inner),
        }),
    }
}

#[derive(Debug)]
struct AttentionGradient;

impl<B: Kernels> Backward<B, 3> for AttentionGradient {
    type State = SavedAttention<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        for (node, grad) in ops.parents.into_iter().zip(B::rotary_attention_backward(ops.state, grad)) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct GatedSiluGradient;

impl<B: Kernels> Backward<B, 2> for GatedSiluGradient {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (gate, up) = ops.state;
        for (node, grad) in ops.parents.into_iter().zip(B::gated_silu_backward(gate, up, grad)) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct NormGradient;

impl<B: Kernels> Backward<B, 2> for NormGradient {
    type State = SavedNorm<B>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.parents;
        if let Some(node) = weight {
            grads.register::<B>(node.id, composed::rms_norm_weight_gradient::<B>(&ops.state, grad.clone()));
        }
        if let Some(node) = x {
            grads.register::<B>(node.id, B::rms_norm_backward(ops.state, grad));
        }
    }
}

#[derive(Debug)]
struct LowRankGradient;

impl<B: Kernels> Backward<B, 4> for LowRankGradient {
    type State = (LowRankInput<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (input, low) = ops.state;
        let [base, x, a, b] = ops.parents;
        if let Some(node) = base {
            grads.register::<B>(node.id, grad.clone());
        }
        for (node, grad) in [x, a, b].into_iter().zip(B::low_rank_backward(input, low, grad)) {
            if let Some(node) = node {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct ProjectionGradient;

impl<B: Kernels> Backward<B, 2> for ProjectionGradient {
    type State = (Option<FloatTensor<B>>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (input, weight) = ops.state;
        let [x, of_weight] = ops.parents;
        if let Some((node, input)) = of_weight.zip(input) {
            grads.register::<B>(node.id, composed::projection_weight_gradient::<B>(input, grad.clone()));
        }
        if let Some(node) = x {
            grads.register::<B>(node.id, B::projection_backward(weight, grad));
        }
    }
}

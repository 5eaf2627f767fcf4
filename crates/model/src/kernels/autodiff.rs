//! Gradients: a kernel on `Autodiff<B>` runs on `B` and registers its backward kernel.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::base::Checkpointer,
    checkpoint::strategy::CheckpointStrategy,
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::tensor::{Tensor, ops::FloatTensor};

use super::{AttentionPlan, Kernels, SavedAttention};
use crate::RotaryTable;

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    const NEEDS_MASK: bool = B::NEEDS_MASK;

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
        // The denominator is a by-product of the forward pass: nothing differentiates through it.
        (
            output,
            Tensor::<Self, 3>::from_inner(super::composed::wrap::<B, 3>(log_sum)).into_primitive().tensor(),
        )
    }

    fn rotary_attention_backward(_: SavedAttention<Self>, _: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        unreachable!("gradients of gradients are never asked for: backward kernels run on the inner backend")
    }

    fn gated_silu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = B::gated_silu(gate.primitive.clone(), up.primitive.clone());
        let nodes = [gate.node.clone(), up.node.clone()];
        match GatedSiluGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gate.primitive, up.primitive), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

fn inner<B: Kernels, C: CheckpointStrategy>(plan: &AttentionPlan<Autodiff<B, C>>) -> AttentionPlan<B> {
    AttentionPlan {
        spans: plan.spans.clone(),
        n_heads: plan.n_heads,
        n_kv_heads: plan.n_kv_heads,
        head_dim: plan.head_dim,
        rotary: RotaryTable { cos: plan.rotary.cos.clone().inner(), sin: plan.rotary.sin.clone().inner() },
        mask: plan.mask.clone().map(Tensor::inner),
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

//! Losses of both stages, one value per example: the training loop sums them and divides once per step.

use burn::tensor::{Int, Tensor, activation, backend::Backend};

/// Binary cross-entropy on the logit: `(1 - y) · x - log sigmoid(x)`, for `y` in `[0, 1]` (0.5 is a tie).
///
/// # Shapes
/// - logits, targets, output: `[batch]`
pub fn preference<B: Backend>(logits: Tensor<B, 1>, targets: Tensor<B, 1>) -> Tensor<B, 1> {
    targets.neg().add_scalar(1.0) * logits.clone() - activation::log_sigmoid(logits)
}

/// Absolute difference in rubric units, the published stage-2 loss.
///
/// # Shapes
/// - scores, labels, output: `[batch]`
pub fn l1<B: Backend>(scores: Tensor<B, 1>, labels: Tensor<B, 1>) -> Tensor<B, 1> {
    (scores - labels).abs()
}

/// Squared difference.
///
/// # Shapes
/// - scores, labels, output: `[batch]`
pub fn mse<B: Backend>(scores: Tensor<B, 1>, labels: Tensor<B, 1>) -> Tensor<B, 1> {
    let error = scores - labels;
    error.clone() * error
}

/// Huber (1964): quadratic within `delta` rubric units, linear beyond, continuous in value and slope.
///
/// # Shapes
/// - scores, labels, output: `[batch]`
pub fn huber<B: Backend>(scores: Tensor<B, 1>, labels: Tensor<B, 1>, delta: f64) -> Tensor<B, 1> {
    let error = (scores - labels).abs();
    let inner = error.clone().clamp_max(delta);
    let outer = error - inner.clone();
    inner.clone() * inner * 0.5 + outer * delta
}

/// Cumulative logits (McCullagh 1980): mean binary cross-entropy of "above grade `k`" over the thresholds.
///
/// # Shapes
/// - outputs: `[batch, grades - 1]`
/// - above: the same, 1 where the label is above grade `k`, else 0
/// - output: `[batch]`
pub fn ordinal<B: Backend>(outputs: Tensor<B, 2>, above: Tensor<B, 2>) -> Tensor<B, 1> {
    let loss = above.neg().add_scalar(1.0) * outputs.clone() - activation::log_sigmoid(outputs);
    loss.mean_dim(1).squeeze_dim(1)
}

/// Cross-entropy over the grades.
///
/// # Shapes
/// - outputs: `[batch, grades]`
/// - grades: `[batch]`, index of the label's grade
/// - output: `[batch]`
pub fn classification<B: Backend>(outputs: Tensor<B, 2>, grades: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let log_probabilities = activation::log_softmax(outputs, 1);
    log_probabilities.gather(1, grades.unsqueeze_dim(1)).neg().squeeze_dim(1)
}

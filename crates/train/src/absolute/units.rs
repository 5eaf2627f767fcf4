//! The units in which a trained head begins from data: inputs and scores with mean 0 and deviation 1 over the training
//! documents.
//!
//! So a fresh head begins at the mean of the labels with a spread like theirs, whatever the scale, and a step of the
//! optimiser means the same for every component of an embedding. At the end both are folded into the layers of the head,
//! whose files keep the published form.

use burn::module::Param;
use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use ndarray::{Array1, ArrayView2};
use pair2score_heads::{HeadError, Standardisation};
use pair2score_model::{ScoreHead, ScoreLink};

use crate::exact;

/// Means and deviations over the training documents.
#[derive(Debug, Clone)]
pub(super) struct Units {
    inputs: Standardisation,
    /// Mean and deviation of the labels of each trait, where the output of its head is the score; else 0 and 1.
    outputs: Vec<(f64, f64)>,
}

impl Units {
    /// Of embeddings `[documents, width]` and the labels of each trait.
    pub(super) fn of(
        embeddings: ArrayView2<'_, f32>,
        labels: &[Vec<f64>],
        link: &ScoreLink,
    ) -> Result<Self, HeadError> {
        let of_trait = |labels: &Vec<f64>| {
            let n = labels.len() as f64;
            let mean = labels.iter().sum::<f64>() / n;
            let deviation = (labels.iter().map(|label| (label - mean).powi(2)).sum::<f64>() / n).sqrt();
            match link {
                ScoreLink::Identity => (mean, if deviation > 0.0 { deviation } else { 1.0 }),
                ScoreLink::Cumulative { .. } | ScoreLink::Expected { .. } => (0.0, 1.0),
            }
        };
        Ok(Self { inputs: Standardisation::of(embeddings)?, outputs: labels.iter().map(of_trait).collect() })
    }

    /// Embeddings as the head reads them in training, `[documents, width]`.
    pub(super) fn inputs<B: Backend>(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        exact::standardised(&self.inputs, embeddings)
    }

    /// Outputs of the head of a trait as its link reads them, `[documents, outputs]`.
    pub(super) fn outputs<B: Backend>(&self, place: usize, outputs: Tensor<B, 2>) -> Tensor<B, 2> {
        let (mean, deviation) = self.outputs[place];
        outputs.mul_scalar(deviation).add_scalar(mean)
    }

    /// The fresh head of a trait, in these units, begun at a linear map from embeddings as they are to scores.
    pub(super) fn begun_at_linear<B: Backend>(
        &self,
        place: usize,
        fresh: &ScoreHead<B>,
        (weights, intercept): &(Array1<f64>, f64),
    ) -> ScoreHead<B> {
        let (mean, deviation) = self.outputs[place];
        let at_the_mean = intercept + weights.dot(&self.inputs.mean);
        let weights = weights * &self.inputs.deviation / deviation;
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        fresh.begun_at_linear(&weights, ((at_the_mean - mean) / deviation) as f32)
    }

    /// The head of a trait that reads embeddings as they are and gives what the link reads.
    pub(super) fn fold<B: Backend>(
        &self,
        place: usize,
        head: &ScoreHead<B>,
        device: &B::Device,
    ) -> ScoreHead<B> {
        let [h, d] = head.hidden_weight.dims();
        let (mut hidden, mut hidden_bias) = (host(head.hidden_weight.val()), host(head.hidden_bias.val()));
        for (row, bias) in hidden.chunks_exact_mut(d).zip(&mut hidden_bias) {
            for ((weight, mean), deviation) in
                row.iter_mut().zip(&self.inputs.mean).zip(&self.inputs.deviation)
            {
                *weight /= deviation;
                *bias -= *weight * mean;
            }
        }
        let (mean, deviation) = self.outputs[place];
        let output = host(head.output_weight.val()).into_iter().map(|weight| weight * deviation).collect();
        let output_bias: Vec<f64> =
            host(head.output_bias.val()).into_iter().map(|bias| bias * deviation + mean).collect();
        let outputs = output_bias.len();
        ScoreHead {
            hidden_weight: parameter(hidden, [h, d], device),
            hidden_bias: parameter(hidden_bias, [h], device),
            output_weight: parameter(output, [outputs, h], device),
            output_bias: parameter(output_bias, [outputs], device),
        }
    }
}

/// The head with these output biases: those of the labels' shares where outputs are logits of grades, else 0, which is
/// the mean.
pub(super) fn at_the_labels<B: Backend>(
    head: ScoreHead<B>,
    labels: &[f64],
    link: &ScoreLink,
    device: &B::Device,
) -> ScoreHead<B> {
    // Half a label more on either side, so that no share is 0 or 1.
    let share = |n: usize| (n as f64 + 0.5) / (labels.len() as f64 + 1.0);
    let biases: Vec<f64> = match *link {
        ScoreLink::Identity => vec![0.0],
        ScoreLink::Cumulative { min, step, grades } => (0..grades - 1)
            .map(|k| {
                let threshold = min + (k as f64 + 0.5) * step;
                let above = share(labels.iter().filter(|&&label| label > threshold).count());
                (above / (1.0 - above)).ln()
            })
            .collect(),
        ScoreLink::Expected { min, step, grades } => (0..grades)
            .map(|k| {
                let grade = min + k as f64 * step;
                share(labels.iter().filter(|&&label| (label - grade).abs() < step / 2.0).count()).ln()
            })
            .collect(),
    };
    let n = biases.len();
    ScoreHead { output_bias: parameter(biases, [n], device), ..head }
}

fn host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().into_vec().expect("converted to f64")
}

fn parameter<B: Backend, const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}

//! Rotary scaling: as keys, or as the divisors of Llama 3.1 that llama.cpp keeps in a tensor.

use std::f64::consts::PI;

use pair2score_model::{LlamaConfig, RopeScaling};

use crate::gguf::value::Keys;

/// What the keys say; the divisors may say more.
pub(crate) fn stated_scaling(keys: Keys<'_>) -> Result<RopeScaling, String> {
    // As llama.cpp reads them: a factor alone is linear, the old key counts where the new one is not there.
    let kind = keys.text("llama.rope.scaling.type")?.unwrap_or("linear");
    let [new, old] = ["llama.rope.scaling.factor", "llama.rope.scale_linear"].map(|key| keys.real(key));
    let factor = new?.or(old?);
    match kind {
        "none" => Ok(RopeScaling::None),
        "linear" => Ok(factor.map_or(RopeScaling::None, linear)),
        other => Err(format!("has rotary scaling of type {other:?}, only none and linear are read")),
    }
}

/// Scaling by a factor, of which 0 says that there is none.
fn linear(factor: f64) -> RopeScaling {
    if [0.0, 1.0].contains(&factor) { RopeScaling::None } else { RopeScaling::Linear { factor } }
}

/// Length of the original training, in tokens, of every model that was published with such divisors. It cannot be told
/// from them: twice the length with both frequency factors doubled gives the same.
const ORIGINAL_POSITIONS: usize = 8192;
/// Largest relative error of a divisor: they are made in f32 from frequencies in f32.
const TOLERANCE: f64 = 1e-4;

/// The scaling of Llama 3.1 that gives these divisors, one per plane of a head, without other scaling in `config`.
pub(crate) fn recovered_scaling(config: &LlamaConfig, divisors: &[f32]) -> Result<RopeScaling, String> {
    if config.rope.scaling != RopeScaling::None {
        return Err("and linear scaling besides, which config.json cannot say".into());
    }
    if divisors.len() != config.head_dim / 2 {
        return Err(format!("which has {} values, expected {}", divisors.len(), config.head_dim / 2));
    }
    let plain = |plane: usize| config.rope.theta.powf(-((2 * plane) as f64) / config.head_dim as f64);
    let planes: Vec<(f64, f64)> =
        divisors.iter().enumerate().map(|(plane, &d)| (plain(plane), f64::from(d))).collect();
    let factor = planes.iter().map(|&(_, divisor)| divisor).fold(1.0, f64::max);
    if planes.iter().all(|&(_, divisor)| near(divisor, factor)) {
        return Ok(linear(factor));
    }
    let published = (1.0, 4.0);
    let (low_freq_factor, high_freq_factor) = [Some(published), fitted(&planes, factor)]
        .into_iter()
        .flatten()
        .find(|&(low, high)| {
            planes.iter().all(|&(frequency, divisor)| near(divided_by(frequency, factor, low, high), divisor))
        })
        .ok_or("whose values are no scaling that config.json can say")?;
    Ok(RopeScaling::Llama3 {
        factor,
        low_freq_factor,
        high_freq_factor,
        original_max_positions: ORIGINAL_POSITIONS,
    })
}

/// What llama.cpp's converter divides a frequency by.
fn divided_by(frequency: f64, factor: f64, low: f64, high: f64) -> f64 {
    let turns = ORIGINAL_POSITIONS as f64 * frequency / (2.0 * PI);
    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
    1.0 / ((1.0 - kept) / factor + kept)
}

/// Low and high frequency factors from the planes that are neither kept nor divided: the kept share is linear in the
/// frequency, so two of them tell the line.
fn fitted(planes: &[(f64, f64)], factor: f64) -> Option<(f64, f64)> {
    let between = planes.iter().filter(|(_, divisor)| !near(*divisor, 1.0) && !near(*divisor, factor));
    let points: Vec<(f64, f64)> = between
        .map(|(frequency, divisor)| {
            let turns = ORIGINAL_POSITIONS as f64 * frequency / (2.0 * PI);
            (turns, (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor))
        })
        .collect();
    let (&(first, first_kept), &(last, last_kept)) = (points.first()?, points.last()?);
    let slope = (last_kept - first_kept) / (last - first);
    let at = |kept: f64| first + (kept - first_kept) / slope;
    let (low, high) = (at(0.0), at(1.0));
    (low > 0.0 && high > low && high.is_finite()).then_some((low, high))
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE * other.abs()
}

#[cfg(test)]
mod tests {
    use pair2score_model::{RopeConfig, inverse_frequencies};

    use super::*;
    use crate::gguf::value::Value;

    fn config(scaling: RopeScaling) -> LlamaConfig {
        LlamaConfig {
            vocab_size: 8,
            d_model: 2048,
            d_ff: 6,
            n_layers: 2,
            n_heads: 32,
            n_kv_heads: 8,
            head_dim: 64,
            max_positions: 131_072,
            rms_norm_eps: 1e-5,
            rope: RopeConfig { theta: 500_000.0, scaling },
            tie_embeddings: true,
            layers_above: 0,
            final_norm: true,
        }
    }

    /// What the model divides each frequency by.
    fn divisors(scaling: &RopeScaling) -> Vec<f32> {
        let plain = inverse_frequencies(&config(RopeScaling::None));
        let scaled = inverse_frequencies(&config(scaling.clone()));
        plain.iter().zip(scaled).map(|(plain, scaled)| plain / scaled).collect()
    }

    fn llama3(factor: f64, low_freq_factor: f64, high_freq_factor: f64) -> RopeScaling {
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions: 8192 }
    }

    #[test]
    fn keys_are_read_as_llama_cpp_reads_them() {
        let read = |keys: &[(&str, Value)]| {
            let keys = keys.iter().map(|(key, value)| (format!("llama.rope.{key}"), value.clone())).collect();
            stated_scaling(Keys(&keys))
        };
        let (kind, new, old) = ("scaling.type", "scaling.factor", "scale_linear");
        let text = |kind: &str| Value::Text(kind.into());
        let (two, four) = (Value::Float(2.0), Value::Float(4.0));
        let linear = |factor: f64| RopeScaling::Linear { factor };
        for (keys, expected) in [
            (vec![], RopeScaling::None),
            (vec![(new, four.clone())], linear(4.0)),
            (vec![(old, four.clone())], linear(4.0)),
            (vec![(new, two), (old, four.clone())], linear(2.0)),
            (vec![(kind, text("linear")), (old, four.clone())], linear(4.0)),
            (vec![(kind, text("linear"))], RopeScaling::None),
            (vec![(kind, text("none")), (new, four.clone()), (old, four.clone())], RopeScaling::None),
            (vec![(old, Value::Float(0.0))], RopeScaling::None),
        ] {
            assert_eq!(read(&keys).unwrap(), expected, "{keys:?}");
        }
        let error = read(&[(kind, text("yarn")), (old, four)]).unwrap_err();
        assert!(error.contains("rotary scaling of type \"yarn\""), "{error}");
    }

    #[test]
    fn what_the_published_models_have_is_recovered_exactly() {
        // Llama 3.1 and Llama 3.2.
        for scaling in [llama3(8.0, 1.0, 4.0), llama3(32.0, 1.0, 4.0)] {
            let recovered = recovered_scaling(&config(RopeScaling::None), &divisors(&scaling)).unwrap();
            let RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, .. } = recovered else {
                panic!("{recovered:?}")
            };
            assert!((factor / if scaling == llama3(8.0, 1.0, 4.0) { 8.0 } else { 32.0 } - 1.0).abs() < 1e-6);
            assert_eq!((low_freq_factor, high_freq_factor), (1.0, 4.0));
        }
    }

    #[test]
    fn another_scaling_gives_the_same_frequencies() {
        let original = RopeScaling::Llama3 {
            factor: 4.0,
            low_freq_factor: 1.0,
            high_freq_factor: 8.0,
            original_max_positions: 4096,
        };
        let recovered = recovered_scaling(&config(RopeScaling::None), &divisors(&original)).unwrap();
        let frequencies = [original, recovered].map(|scaling| inverse_frequencies(&config(scaling)));
        for (one, other) in frequencies[0].iter().zip(&frequencies[1]) {
            assert!((one / other - 1.0).abs() < 1e-4, "{one} and {other}");
        }
    }

    #[test]
    fn equal_divisors_are_linear_scaling_and_ones_are_none() {
        let plain = config(RopeScaling::None);
        assert_eq!(recovered_scaling(&plain, &[4.0; 32]).unwrap(), RopeScaling::Linear { factor: 4.0 });
        assert_eq!(recovered_scaling(&plain, &[1.0; 32]).unwrap(), RopeScaling::None);
    }

    #[test]
    fn what_config_json_cannot_say_is_refused() {
        let plain = config(RopeScaling::None);
        let mut values = divisors(&llama3(8.0, 1.0, 4.0));
        values[31] = 3.0;
        assert!(recovered_scaling(&plain, &values).is_err());
        assert!(recovered_scaling(&plain, &values[1..]).unwrap_err().contains("31 values, expected 32"));
        let linear = config(RopeScaling::Linear { factor: 2.0 });
        assert!(recovered_scaling(&linear, &[2.0; 32]).unwrap_err().contains("linear scaling besides"));
    }
}

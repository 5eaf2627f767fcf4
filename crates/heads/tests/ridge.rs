//! Ridge heads against scikit-learn (`scripts/peers/ridge_oracle.py`).

use ndarray::{Array1, Array2};
use pair2score_heads::ridge::{penalties, ridge};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Rows of embeddings; the file has them with as many digits as single precision needs.
fn rows(value: &Value) -> Array2<f32> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j] as f32)
}

#[test]
fn heads_are_those_of_scikit_learn() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/ridge.json")).unwrap();
    let tried: Vec<f64> = penalties().collect();
    for (a, b) in tried.iter().zip(numbers(&fixture["penalties"])) {
        assert!((a / b - 1.0).abs() < 1e-12);
    }
    for case in fixture["cases"].as_array().unwrap() {
        let labels = Array1::from(numbers(&case["labels"]));
        let embeddings = rows(&case["embeddings"]);
        let heads = ridge(embeddings.view(), labels.view().insert_axis(ndarray::Axis(1)), None).unwrap();
        let [head] = heads.as_slice() else { panic!("one target, one head") };
        let place = tried.iter().position(|penalty| *penalty == head.penalty).unwrap();
        let expected = numbers(&case["predictions"][place]);
        for (prediction, expected) in head.predict(rows(&case["new"]).view()).iter().zip(expected) {
            assert!((prediction - expected).abs() < 1e-6, "{prediction} is not {expected}");
        }
        let squares = numbers(&case["left_out_squares"][place]);
        for ((left_out, label), square) in head.leave_one_out.iter().zip(&labels).zip(squares) {
            assert!(((left_out - label).powi(2) - square).abs() < 1e-6);
        }
    }
}

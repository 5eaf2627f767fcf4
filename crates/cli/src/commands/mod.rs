//! One subcommand, one file.

mod account;
pub(crate) mod backbone;
pub(crate) mod compare;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod folds;
pub(crate) mod infer;
pub(crate) mod judgements;
mod logs;
pub(crate) mod pairs;
pub(crate) mod pretrain;
pub(crate) mod propose;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod sweep;

/// A number of a table; a dash where it is undefined.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

//! Linear heads on the embeddings of a frozen backbone, fitted exactly.
//!
//! The one key decision: where nothing below the head trains, the best head is the solution of a system of equations,
//! not the end of a training. It has no learning rate, no seed and no epochs, and it says how well it will do: what it
//! predicts of a document that it was not fitted to comes out of the same factorisation. The cost is dense arithmetic
//! in double precision, of the order of the number of documents times the square of the width.
//!
//! - [`Standardisation`]: every component of an embedding with mean 0 and deviation 1
//! - [`ridge()`]: embeddings to labels, with its penalty by generalised cross-validation
//! - [`joint()`]: embeddings to labels and judgements together, or to judgements alone
//! - [`leading_directions`], [`Cholesky`]: the dense algebra that the posterior of utilities (crate `data`) shares
//!
//! Deliberately absent: files, devices, threads, random numbers. The crate builds for wasm32.

mod cholesky;
mod directions;
mod error;
pub mod joint;
pub mod ridge;
mod standardise;

pub use cholesky::Cholesky;
pub use directions::leading_directions;
pub use error::HeadError;
pub use joint::{Joint, Judgement, Variances, joint};
pub use ridge::{Ridge, ridge};
pub use standardise::Standardisation;

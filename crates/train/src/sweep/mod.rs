//! Sweeps: traits × settings × folds over one configuration, planned so that no stage 1 is trained twice.
//!
//! A [`SweepPlan`] is the file; [`SweepPlan::graph`] is a pure function from it to a [`Graph`] of tasks, each a stage of
//! a run with its resolved [`Settings`](crate::config::Settings). The key decision: a task is nothing but a
//! configuration in folders of its own, and what is done is read from the files that runs write anyway. So any engine
//! that can start a command for a task and wait for another runs a sweep, and doing one again does what is missing.
//! The cost is that nothing is known of a task that is at work; runs keep others out of their folders themselves.
//!
//! Stage-1 trainings that differ in their number of epochs only are one task, since with a constant learning rate the
//! shorter is the beginning of the longer: the longest one runs, and leaves the others as `epoch_N/`.

mod estimate;
mod graph;
mod plan;
mod table;

#[cfg(test)]
mod tests;

pub use estimate::{Workload, probe};
pub use graph::{Cell, Graph, SETTING, STAGE1_EPOCHS, STAGE1_PAIRS, Task};
pub use pair2score_data::pairs::PairOptions;
pub use plan::{FoldPlan, SweepPlan};
pub use table::{Table, TableRow};

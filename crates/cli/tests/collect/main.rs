//! `serve --collect` over the wire: the real binary, killed and started again, and what it collected.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod faults;
mod lead;
mod load;
mod refusals;
mod sessions;

//! `serve --collect` over the wire: the real binary, killed and started again, and what it collected.

mod common;

#[path = "collect/client.rs"]
mod client;
#[path = "collect/faults.rs"]
mod faults;
#[path = "collect/load.rs"]
mod load;
#[path = "collect/refusals.rs"]
mod refusals;
#[path = "collect/sessions.rs"]
mod sessions;

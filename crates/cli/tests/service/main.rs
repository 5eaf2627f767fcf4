//! `serve --scorer` over the wire: the real binary against `score` and `compare`, and everything it refuses.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod load;
mod refusals;
mod schema;
mod server;
mod stop;
mod streams;

//! What Hookline costs: measured where that can be, computed from list prices, written as `docs/COST.md`.
#![allow(
    clippy::cast_precision_loss,
    clippy::missing_panics_doc,
    reason = "a measurement, of numbers that a float holds"
)]

pub mod body;
pub mod findings;
pub mod model;
pub mod prices;
pub mod report;
pub mod size;
pub mod time;
pub mod units;

pub use findings::Findings;
pub use model::{EventUnits, Model};
pub use prices::{Prices, Region, Usage};
pub use report::{Sources, document};

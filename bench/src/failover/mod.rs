//! A chat under faults: its history, the judge of it, and how long its readers waited.

pub mod chance;
pub mod check;
pub mod clients;
pub mod gaps;
pub mod history;
pub mod plan;
pub mod report;
pub mod run;

//! Tests of the screen.

mod bounds;
mod oracle;
mod plain;
mod recorded;
mod speed;

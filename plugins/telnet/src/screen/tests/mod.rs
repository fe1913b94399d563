//! Tests of the screen.

mod oracle;
mod plain;

//! SHIM
use director_sdk::testing::Wire;
use std::io;
pub struct T {
    pub resumed: bool,
}
pub trait Shim {
    async fn start_tls(&mut self) -> io::Result<T>;
}
impl Shim for Wire {
    async fn start_tls(&mut self) -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

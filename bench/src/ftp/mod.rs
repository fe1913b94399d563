//! FTP side by side: directly, through the director, through HAProxy in TCP mode and through ProFTPD's
//! mod_proxy, in one run on the same cores.

pub mod client;
pub mod figures;
pub mod report;
pub mod scale;
pub mod switch;
pub mod usage;
pub mod ways;

//! Free ports.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// A port that was free a moment ago.
///
/// Not one that the system hands out by itself: from that range a client which keeps on connecting to a server that was
/// killed can be given the server's own port as its source, and is then connected to itself.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 18_000 + (RandomState::new().hash_one(()) % 14_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

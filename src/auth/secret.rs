//! Secrets that open something, and the hashes that are kept of them.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

/// 256 random bits, as text.
pub fn new_secret() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// What the database keeps of a secret.
pub fn hash(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

/// Bytes as text.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

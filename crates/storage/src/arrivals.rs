//! Reading uploads while they arrive in this process.

use std::fmt::Debug;
use std::sync::Arc;

/// Whoever wants to know of uploads as they arrive.
pub trait Arrivals: Debug + Send + Sync {
    /// Begins to read an upload; nothing when nobody wants that of this one, or too many arrive.
    fn begin(self: Arc<Self>, key: &str) -> Option<Box<dyn Arrival>>;

    /// An upload is there that was not read while it arrived.
    fn arrived(&self, key: &str);
}

/// An upload that is read while it arrives. It may think for long, so it is called where that keeps nobody.
pub trait Arrival: Debug + Send {
    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8]);

    /// All of it has come, and is kept.
    fn finish(self: Box<Self>);
}

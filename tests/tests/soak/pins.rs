//! What is known of the pins while pushes that set them come and go.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Pins whose value is certain: the command that set it has succeeded, and no other has begun since.
#[derive(Debug, Default)]
pub struct Pins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Store path of each, and which change it was.
    certain: BTreeMap<String, (String, u64)>,
    changes: u64,
}

impl Pins {
    /// A command that changes it begins: until it succeeds, the pin may name the old path, the new one or none.
    pub fn begin(&self, pin: &str) {
        self.0.lock().unwrap().certain.remove(pin);
    }

    /// A command that sets it has succeeded.
    pub fn set(&self, pin: &str, path: &str) {
        let mut state = self.0.lock().unwrap();
        state.changes += 1;
        let change = state.changes;
        state.certain.insert(pin.to_owned(), (path.to_owned(), change));
    }

    /// How many changes there were.
    pub fn changes(&self) -> u64 {
        self.0.lock().unwrap().changes
    }

    /// Changes since then may be lost.
    pub fn forget_since(&self, change: u64) {
        let mut state = self.0.lock().unwrap();
        state.certain.retain(|_, (_, since)| *since <= change);
    }

    /// Names and paths of all that are certain.
    pub fn certain(&self) -> BTreeMap<String, String> {
        let state = self.0.lock().unwrap();
        let all = state.certain.iter();
        all.map(|(pin, (path, _))| (pin.clone(), path.clone())).collect()
    }
}

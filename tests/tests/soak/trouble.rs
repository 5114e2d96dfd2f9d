//! What goes wrong in a round.

use std::time::Duration;

use niks3_test_support::Fault;
use niks3_tests::dice::Dice;

use super::Soak;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    Nothing,
    /// A server dies.
    Kill,
    /// All servers die at once.
    KillAll,
    /// A server stops for longer than its leases last, and goes on as if nothing had happened.
    Freeze,
    /// The wall clock of a server steps.
    Clock,
    /// PostgreSQL dies and comes back.
    Database,
    /// PostgreSQL hangs.
    DatabaseHangs,
    /// PostgreSQL dies and comes back as it was a second ago.
    LostSecond,
    /// The object store takes requests and does not answer.
    Stall,
    /// The object store refuses some requests.
    Refuse,
    /// The object store carries requests out and its answers are lost.
    LoseAnswers,
}

/// What can go wrong with a server and its embedded store, and how often it does.
const EMBEDDED: [(Trouble, usize); 4] = [
    (Trouble::Nothing, 1),
    (Trouble::Kill, 6),
    (Trouble::Freeze, 1),
    (Trouble::Clock, 1),
];

/// The same with two servers, PostgreSQL and an object store.
const SERVICES: [(Trouble, usize); 10] = [
    (Trouble::Nothing, 1),
    (Trouble::Kill, 6),
    (Trouble::KillAll, 2),
    (Trouble::Freeze, 1),
    (Trouble::Clock, 1),
    (Trouble::Database, 2),
    (Trouble::DatabaseHangs, 1),
    (Trouble::Stall, 1),
    (Trouble::Refuse, 1),
    (Trouble::LoseAnswers, 1),
];

/// How often PostgreSQL loses a second, beside the weights of [`SERVICES`].
const LOST_SECOND: (Trouble, usize) = (Trouble::LostSecond, 2);

/// Steps of a clock in seconds: an hour's error, a day's, and both ways.
const STEPS: [i64; 4] = [3600, -3600, 24 * 3600, -24 * 3600];

impl Soak {
    /// What goes wrong in a round.
    pub fn trouble(&self, round: usize, dice: &mut Dice) -> Trouble {
        if round == 0 && self.loses_seconds {
            // However few rounds there are.
            return Trouble::LostSecond;
        }
        let mut weights = if self.postgres.is_some() {
            SERVICES.to_vec()
        } else {
            EMBEDDED.to_vec()
        };
        weights.extend(self.loses_seconds.then_some(LOST_SECOND));
        dice.pick(&weights)
    }

    /// Lets it happen, to its end: afterwards all but dead servers are as before.
    pub fn cause(&self, trouble: Trouble, dice: &mut Dice) {
        let number = dice.roll(self.servers.len());
        let short = Duration::from_millis(300 + dice.roll(1200) as u64);
        match trouble {
            Trouble::Nothing => {}
            Trouble::Kill => self.server(number).kill(),
            Trouble::KillAll => (0..self.servers.len()).for_each(|number| self.server(number).kill()),
            Trouble::Freeze => {
                self.server(number).signal("STOP");
                std::thread::sleep(super::LEASE + Duration::from_secs(1));
                self.server(number).signal("CONT");
            }
            Trouble::Clock => {
                self.clocks[number].step(STEPS[dice.roll(STEPS.len())]);
                std::thread::sleep(short);
                self.clocks[number].step(0);
            }
            Trouble::Database | Trouble::DatabaseHangs | Trouble::LostSecond => {
                self.database(trouble, short);
            }
            Trouble::Stall => self.object_store(number, &Fault::Hold, short),
            Trouble::Refuse => self.object_store(number, &Fault::Status(503), short),
            Trouble::LoseAnswers => self.object_store(number, &Fault::LoseAnswer, short),
        }
    }

    fn database(&self, trouble: Trouble, time: Duration) {
        let mut postgres = self.postgres.as_ref().expect("a cluster").lock().unwrap();
        match trouble {
            Trouble::Database => {
                postgres.stop();
                postgres.resume();
            }
            Trouble::DatabaseHangs => {
                postgres.signal("STOP");
                std::thread::sleep(time);
                postgres.signal("CONT");
            }
            _ => {
                postgres.save();
                let saved = self.pins.changes();
                std::thread::sleep(Duration::from_secs(1));
                postgres.restore();
                // What was acknowledged in between may be lost, and may be found again in the bucket.
                self.pins.forget_since(saved);
            }
        }
    }

    fn object_store(&self, number: usize, fault: &Fault, time: Duration) {
        /// More than are sent in that time.
        const ALL: usize = 1_000_000;
        let proxy = &self.proxies[number];
        proxy.fail("", "", fault.clone(), ALL);
        std::thread::sleep(time);
        proxy.heal();
        proxy.release();
    }
}

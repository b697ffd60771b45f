//! Events of the bus: bytes are an event or none, and an event is the same once it is written again.

use std::time::Duration;

use cache_runtime::Key;
use cache_runtime::bus::{Event, Group, What};
use fastrand::Rng;

use super::mutate::{mutate, noise};
use super::{Meter, Seen, Target, ensure};

pub(super) struct Events(Vec<Vec<u8>>);

impl Events {
    pub(super) fn new() -> Self {
        let long = "k".repeat(300);
        let keys = |names: &[&str]| names.iter().copied().map(Key::from).collect();
        let whats = [
            What::Everything,
            What::Keys(vec![]),
            What::Keys(keys(&["user:42", "", "caf\u{e9}", &long])),
            What::Tags(keys(&["org:1"; 40])),
        ];
        let event = |(at, what): (usize, What)| Event {
            origin: Group::of_region("eu-1").expect("a good name"),
            is_for_origin: at.is_multiple_of(2),
            waited: Duration::from_millis(at as u64 * 1000),
            what,
        };
        let events = whats.into_iter().enumerate().map(event);
        Self(events.map(|event| event.to_bytes()).collect())
    }
}

impl Target for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let mut bytes = self.0[random.usize(..self.0.len())].clone();
        match random.u8(..12) {
            0 => return noise(200, random),
            1 => {}
            _ => mutate(&mut bytes, &self.0, random),
        }
        bytes
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        // A key of a byte is kept in 72, and the list grows by doubling.
        let most = (4 << 10) + 320 * bytes.len();
        let Some(event) = meter.read(most, || Event::of_bytes(bytes))? else {
            return Ok(Seen::Refused);
        };
        let again = Event::of_bytes(&event.to_bytes());
        ensure(again.as_ref() == Some(&event), || {
            format!("{event:?} was read, and {again:?} once it was written again")
        })?;
        Ok(Seen::Accepted)
    }
}

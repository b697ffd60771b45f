//! Hostile input: everything that reads what anyone may have written, tried on bytes that nobody should have written.
//!
//! A [`Target`] makes bytes from valid ones and says what must hold of any bytes at all; [`run`] tries it on very many, each told by the seed and its
//! number, so that what was found can be done again. What makes the bytes and what checks them are apart, so a fuzzer that is guided by coverage can
//! make them instead.

mod entry;
mod event;
mod files;
mod key;
mod mutate;
mod record;
mod reply;
mod run;
mod samples;
mod source;
mod template;
mod trail;

pub use self::entry::Entries;
pub use self::mutate::mutate;
pub use self::run::{Found, Plan, Report, run, to_bytes, to_hex};
pub use self::trail::Trail;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// One reader of foreign bytes.
pub trait Target: Send + Sync {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// The bytes of a case: mostly valid ones that were changed.
    fn make(&self, random: &mut fastrand::Rng) -> Vec<u8>;

    /// Tries the reader on them. The error says which promise is broken.
    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String>;
}

/// What the reader made of a case: if one of these never comes, a target says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// As they are, the bytes mean something.
    Accepted,
    /// They do once their checksum is made right.
    OnceSealed,
    /// They mean nothing.
    Refused,
}

impl Seen {
    fn of(is_accepted: bool) -> Self {
        if is_accepted {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}

/// Every target.
pub fn targets() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(Entries::new()),
        Box::new(record::Records::new()),
        Box::new(key::Keys),
        Box::new(template::Templates::new()),
        Box::new(reply::Replies),
        Box::new(event::Events::new()),
        Box::new(files::Segments::new()),
        Box::new(files::HotKeys::new()),
    ]
}

/// Runs some work and tells how many bytes it allocated, all together. A program that has no allocator which counts them says none.
pub type Measure = fn(&mut dyn FnMut()) -> u64;

/// Runs readers, and sees whether they allocate more than they may, or panic.
#[derive(Debug, Clone, Copy)]
pub struct Meter(Measure);

impl Meter {
    /// A meter for a program whose allocator counts.
    pub fn new(measure: Measure) -> Self {
        Self(measure)
    }

    /// One that sees panics alone.
    pub fn blind() -> Self {
        Self(|work| {
            work();
            0
        })
    }

    /// What the reader says, if it has allocated at most so many bytes.
    fn read<T>(self, most: usize, read: impl FnOnce() -> T) -> Result<T, String> {
        let (mut read, mut said) = (Some(read), None);
        let allocated = (self.0)(&mut || {
            if let Some(read) = read.take() {
                said = Some(catch_unwind(AssertUnwindSafe(read)));
            }
        });
        let said = match said {
            Some(Ok(said)) => said,
            Some(Err(panic)) => return Err(format!("it panicked: {}", words(&*panic))),
            None => return Err("the meter did not run the reader".to_owned()),
        };
        if allocated > most as u64 {
            return Err(format!("it allocated {allocated} bytes, more than {most}"));
        }
        Ok(said)
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

/// An error unless it holds.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

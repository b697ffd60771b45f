//! The targets of hostile input, with bytes that libFuzzer makes: which of them is told by the variable `TARGET`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tests::hostile::{Meter, Target, targets};

static CHOSEN: LazyLock<Box<dyn Target>> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_else(|_| "entries".to_owned());
    let chosen = targets().into_iter().find(|target| target.name() == name);
    chosen.unwrap_or_else(|| panic!("there is no target `{name}`"))
});

fuzz_target!(|bytes: &[u8]| {
    if let Err(problem) = CHOSEN.check(bytes, Meter::blind()) {
        panic!("{problem}");
    }
});

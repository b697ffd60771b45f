//! Mechanisms that can be removed, one at a time, to see that a test notices.
//!
//! Only a build with `RUSTFLAGS="--cfg mutants"` can remove anything: there the environment says what, as in
//! `CACHE_MUTANT=MemoryFillWithoutLease`. In any other build [`on`] is the constant `false`, and what it guards is no part of the program.
//! `cargo run --release -p tests --bin mutants` tries them all.

mod list;

pub(crate) use list::Mutant;

/// Whether this mechanism is removed.
#[cfg(not(mutants))]
#[inline(always)]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}

/// Whether this mechanism is removed.
#[cfg(mutants)]
pub(crate) fn on(mutant: Mutant) -> bool {
    chosen() == Some(mutant)
}

/// What the environment says is removed, if anything.
#[cfg(mutants)]
fn chosen() -> Option<Mutant> {
    use once_cell::sync::Lazy;

    static CHOSEN: Lazy<Option<Mutant>> = Lazy::new(|| {
        let name = std::env::var_os(list::VARIABLE)?;
        let known = Mutant::ALL.iter().find(|mutant| name == mutant.name());
        let Some(&mutant) = known else {
            eprintln!("{}: there is no mutant {name:?}", list::VARIABLE);
            // Not a panic: a test that expects one, or catches it, would take this for the mutant's work.
            std::process::exit(list::UNKNOWN);
        };
        Some(mutant)
    });
    *CHOSEN
}

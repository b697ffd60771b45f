//! What a batch loader cannot do.

use syn::Type;

use super::arguments::Given;
use crate::diagnostics::{Diagnostics, all_of};
use crate::function::{Function, bare};
use crate::model::Timing;

/// Arguments that are about one entry, and a receiver that could not be handed out twice.
pub(super) fn check(
    given: &Given<'_>,
    timing: &Timing,
    function: &Function,
    errors: &mut Diagnostics,
) {
    let modes = [
        ("early", timing.stampede.early),
        ("swr", timing.stampede.swr),
    ];
    let modes: Vec<&str> = modes
        .into_iter()
        .filter_map(|(mode, chosen)| chosen.then_some(mode))
        .collect();
    if let (Some(arg), false) = (given.get("stampede"), modes.is_empty()) {
        let verb = if modes.len() > 1 { "are" } else { "is" };
        errors.on(
            arg.value_tokens(),
            format!(
                "{} {verb} for single loaders: the elements of a batch are of different ages; write `\"lock\"` or `\"none\"`",
                all_of(&modes)
            ),
        );
    }
    if let Some(arg) = given.get("timeout") {
        errors.on(
            &arg.name,
            "`timeout` is for single loaders: a batch is awaited as a whole; leave it out, or limit the call with `tokio::time::timeout`",
        );
    }
    if let Some(receiver) = function.receiver()
        && !matches!(bare(&receiver.ty), Type::Reference(_))
    {
        errors.on(
            receiver,
            "a batch loader may run its body more than once, and would need `self` each time: take `&self`",
        );
    }
}

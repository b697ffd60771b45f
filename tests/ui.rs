//! What compiles, what does not, and what the compiler then says: one rule a file in `ui/`.

#[test]
fn annotations_are_accepted_and_refused_as_documented() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}

//! The README's first code stands for itself, without the definitions that would make it compile alone. Its other code is run by
//! the doctests of `cache-runtime`.

use std::fs;
use std::path::Path;

#[test]
fn the_first_code_of_the_readme_is_a_case_that_compiles() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(here.join("../README.md")).unwrap();
    let code = readme
        .split("```rs\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let case = fs::read_to_string(here.join("ui/pass/readme_intro.rs")).unwrap();
    assert!(
        case.contains(code.unwrap()),
        "README.md and tests/ui/pass/readme_intro.rs differ"
    );
    assert_eq!(
        readme.matches("```rs\n").count(),
        1,
        "all other code of the README is compiled by rustdoc"
    );
}

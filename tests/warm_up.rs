//! The example of the ways to warm a cache, run as a user runs it.

use std::fs;

use serde_json::Value;
use tests::{example, example_on_a_terminal};

#[test]
fn each_way_spares_the_database_loads() {
    let output = example("warm_up", &["--generated", "--json"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(table["accesses"], 5_000);
    assert!(
        table["workload"]
            .as_str()
            .unwrap()
            .starts_with("generated, Zipf")
    );
    let rows = table["rows"].as_array().unwrap();
    let figure = |row: usize, name: &str| rows[row][name].as_u64().unwrap();
    let loads: Vec<u64> = (0..rows.len()).map(|row| figure(row, "loads")).collect();
    let [cold, eager, shadow, gradual, not_restarted] = loads[..] else {
        panic!("five ways: {table}");
    };
    assert!(eager < cold * 2 / 3, "{table}");
    assert!(shadow < cold * 4 / 5, "every second key: {table}");
    assert!(gradual < cold / 2, "{table}");
    assert!(not_restarted <= gradual && not_restarted < eager, "{table}");
    // The database sees a part of the misses of a cold cache at a time.
    assert!(figure(3, "most_loads") < cold, "{table}");
    assert_eq!(
        (figure(0, "loads_before"), figure(1, "loads_before")),
        (0, 2_000)
    );
}

#[test]
fn for_people_it_prints_a_table_of_any_trace() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("plain.trace");
    let keys = (0..70_000_u64).map(|access| (access * access / 7 % 9_000) as u32);
    fs::write(&trace, keys.flat_map(u32::to_be_bytes).collect::<Vec<_>>()).unwrap();
    let output = example("warm_up", &["--trace", trace.to_str().unwrap()], &[]);
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert!(table.contains("recorded, plain.trace"), "{table}");
    for way in [
        "cold ",
        "warmed eagerly ",
        "after a shadow replay ",
        "gradually",
        "not restarted ",
    ] {
        assert!(
            table.lines().any(|line| line.starts_with(way)),
            "{way}:\n{table}"
        );
    }
}

#[test]
fn a_trace_that_is_missing_or_too_short_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.trace");
    fs::write(&short, [0; 400]).unwrap();
    for (args, named) in [
        (["--trace", "/nowhere.trace"], "/nowhere.trace"),
        (["--trace", short.to_str().unwrap()], "100 accesses"),
    ] {
        let output = example("warm_up", &args, &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(named), "{said}");
    }
    let output = example("warm_up", &["--trce"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn on_a_terminal_it_shows_how_far_it_is() {
    let (output, shown) = example_on_a_terminal("warm_up", &["--generated", "--json"]);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("\rcache warm-up ["), "{shown:?}");
    assert!(
        shown.contains("\rcache warm-up: loaded 2000, already there 0"),
        "{shown:?}"
    );
    serde_json::from_slice::<Value>(&output.stdout).unwrap();
}

//! The examples, run as a user runs them, through cargo.

use std::fs;
use std::process::Output;

use serde_json::Value;
use tests::{RedisServer, example};

/// The fields of `--json`, all of them, in alphabetical order.
const FIELDS: [&str; 13] = [
    "backend",
    "calls",
    "cold_key_callers",
    "cold_key_loads",
    "hit_ratio",
    "hits",
    "loads",
    "p50_us",
    "p99_us",
    "stale_reads",
    "uncached_p50_us",
    "uncached_p99_us",
    "workload",
];

#[test]
fn the_quickstart_prints_its_figures_as_one_json_object() {
    let figures = figures(&["--calls", "20000"], &[]);
    check(&figures);
    assert_eq!(figures["backend"], "memory");
    assert_eq!(figures["calls"], 20_000);
    assert!(
        text(&figures, "workload").starts_with("generated, Zipf"),
        "{figures}"
    );
    assert!(
        number(&figures, "hit_ratio") > 0.5,
        "so uneven a workload mostly hits: {figures}"
    );
}

#[tokio::test]
async fn cache_url_moves_the_quickstart_to_redis_where_it_leaves_nothing_behind() {
    let server = RedisServer::start().await;
    let figures = figures(&["--calls", "20000"], &[("CACHE_URL", &server.url())]);
    check(&figures);
    assert_eq!(figures["backend"], "redis");
    assert_eq!(figures["calls"], 20_000);
    // Read by a GET, or among others by an MGET.
    let stats: String = server.query(redis::cmd("INFO").arg("stats")).await;
    let found = stats
        .lines()
        .find_map(|line| line.strip_prefix("keyspace_hits:"));
    let found: u64 = found.unwrap().trim().parse().unwrap();
    assert!(
        figures["hits"].as_u64().unwrap() <= found,
        "a hit is a key that was found: {found} of them, {figures}"
    );
    assert_eq!(server.entries().await, [""; 0]);
}

#[test]
fn a_trace_is_replayed_packed_or_not() {
    // The keys 7, 7, 9, 7, 2^32 - 1, 9, 7, 7, by `xz --check=crc32`.
    const PACKED: [u8; 72] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
        0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0xe0, 0x00, 0x1f, 0x00, 0x10, 0x5d,
        0x00, 0x00, 0x68, 0x00, 0x45, 0x04, 0x81, 0xd4, 0x53, 0x78, 0x47, 0xac, 0x65, 0x73, 0x0e,
        0xd0, 0x00, 0x00, 0x59, 0x1d, 0x25, 0x2c, 0x00, 0x01, 0x28, 0x20, 0x49, 0x3b, 0xb5, 0x46,
        0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];
    let folder = tempfile::tempdir().unwrap();

    let plain = folder.path().join("plain.trace");
    let keys: Vec<u8> = (0..3_000_u32)
        .flat_map(|access| (u32::MAX - access % 100).to_be_bytes())
        .collect();
    fs::write(&plain, keys).unwrap();
    let all = figures(&["--trace", plain.to_str().unwrap()], &[]);
    check(&all);
    assert_eq!(all["calls"], 3_000);
    assert_eq!(all["workload"], "recorded, plain.trace, 100 products");

    // A trace that is named wins over the variable.
    let packed = folder.path().join("web07.trace.xz");
    fs::write(&packed, PACKED).unwrap();
    let variable = ("CACHE_TRACES", folder.path().to_str().unwrap());
    let part = figures(
        &["--trace", plain.to_str().unwrap(), "--calls", "50"],
        &[variable],
    );
    assert_eq!(part["calls"], 50);
    assert_eq!(part["workload"], "recorded, plain.trace, 50 products");

    let found = figures(&[], &[variable]);
    assert_eq!(found["calls"], 8);
    assert_eq!(found["workload"], "recorded, web07.trace.xz, 3 products");
}

#[test]
fn for_people_it_prints_a_table_and_nothing_else() {
    let output = example("quickstart", &["--calls", "2000"], &[]);
    let table = stdout_of(&output);
    for line in [
        "cache ",
        "workload ",
        "calls ",
        "hits ",
        "hit ratio ",
        "loads ",
        "stale reads ",
        "p50 ",
        "p99 ",
    ] {
        assert!(
            table.lines().any(|printed| printed.starts_with(line)),
            "no `{line}` in\n{table}"
        );
    }
    assert!(
        table.contains("1,000 callers of one cold key caused 1 load\n"),
        "{table}"
    );
    assert!(
        !table.contains('\u{1b}') && output.stderr.is_empty(),
        "the progress bar is for terminals only"
    );
}

#[test]
fn what_cannot_be_used_is_named_and_the_exit_code_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.trace");
    fs::write(&odd, b"12345").unwrap();
    let torn = folder.path().join("torn.trace.xz");
    fs::write(&torn, b"\xfd7zXZ\x00").unwrap();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 9] = [
        (&["--call", "5"], &[], "--call"),
        (&["--calls"], &[], "--calls"),
        (
            &["--calls", "many"],
            &[],
            "--calls takes a whole number of at least 1, not \"many\"",
        ),
        (
            &["--tasks", "0"],
            &[],
            "--tasks takes a whole number of at least 1, not \"0\"",
        ),
        (&["trace.xz"], &[], "trace.xz"),
        (
            &["--trace", "/nowhere.trace"],
            &[],
            "trace /nowhere.trace: No such file",
        ),
        (
            &["--trace", odd.to_str().unwrap()],
            &[],
            "5 bytes are not a list of 32-bit keys",
        ),
        (&["--trace", torn.to_str().unwrap()], &[], "torn.trace.xz"),
        (
            &[],
            &[("CACHE_URL", "redis://:s3cret@localhost:port/")],
            "port",
        ),
    ];
    for (args, variables, named) in cases {
        let output = example("quickstart", args, variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.starts_with("quickstart: ") && said.contains(named),
            "{args:?}: {said}"
        );
        assert!(!said.contains("s3cret"), "{said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn every_option_and_variable_is_in_the_help() {
    let help = stdout_of(&example("quickstart", &["--help"], &[]));
    for named in [
        "--trace",
        "--calls",
        "--tasks",
        "--json",
        "--help",
        "CACHE_URL",
        "CACHE_TRACES",
    ] {
        assert!(help.contains(named), "{named} is not in\n{help}");
    }
}

/// Each of them asserts what it shows.
#[test]
fn the_other_examples_run() {
    for name in [
        "failing_open",
        "many_at_once",
        "methods",
        "staleness",
        "strict",
        "swap_in_tests",
        "transaction",
        "write_through",
    ] {
        let said = stdout_of(&example(name, &[], &[]));
        assert!(!said.is_empty(), "{name} shows nothing");
    }
}

/// What holds of the figures of every run.
fn check(figures: &Value) {
    let mut fields: Vec<&str> = figures
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, FIELDS);

    let count = |field: &str| {
        figures[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{field} is no count: {figures}"))
    };
    let (calls, hits, loads) = (count("calls"), count("hits"), count("loads"));
    assert!(
        0 < hits && 0 < loads && hits + loads <= calls,
        "a call hits, loads, or gets another's load: {figures}"
    );
    assert!(
        (number(figures, "hit_ratio") - hits as f64 / calls as f64).abs() < 1e-9,
        "{figures}"
    );

    for prefix in ["", "uncached_"] {
        let [p50, p99] =
            ["p50_us", "p99_us"].map(|quantile| number(figures, &format!("{prefix}{quantile}")));
        assert!(0.0 < p50 && p50 <= p99, "{figures}");
    }
    assert_eq!(
        (count("cold_key_callers"), count("cold_key_loads")),
        (1_000, 1)
    );
    assert_eq!(count("stale_reads"), 0);
}

fn number(figures: &Value, field: &str) -> f64 {
    figures[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{field} is no number: {figures}"))
}

fn text<'a>(figures: &'a Value, field: &str) -> &'a str {
    figures[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is no text: {figures}"))
}

fn figures(args: &[&str], variables: &[(&str, &str)]) -> Value {
    let args = [&["--json"], args].concat();
    let printed = stdout_of(&example("quickstart", &args, variables));
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(&printed).unwrap()
}

fn stdout_of(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

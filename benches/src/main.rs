//! The comparisons of cache-runtime with its peers.
//!
//! What is measured is what a user writes: an annotated function, a builder, a call. Subjects take turns in every round and
//! the median of the rounds is reported, so that a noisy machine disturbs them alike. Compare within a run, not between runs.

mod batch;
mod compile;
mod hit;
mod redis;
mod report;
mod stampede;
mod tags;
mod trace;
mod workload;
mod write_behind;
mod write_through;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo run --release -p benches -- SUITE [--json]

  hit            a hit in memory: time and allocations of a call
  redis          hits on Redis by 1 to 256 tasks (starts a redis-server of its own)
  stampede       1,000 callers of one cold key, in one process and in eight; hot keys that expire, in every mode
  batch          100 keys at once on Redis, at several hit ratios (starts a redis-server of its own)
  tags           what tags cost a hit on Redis, and an invalidation of one by the number of its entries (starts a redis-server of its own)
  write_behind   acknowledged writes by 64 tasks, flushes into PostgreSQL, the memory of pending writes (starts servers of its own)
  write_through  what a writer costs beyond its body and one SET (starts a redis-server of its own)
  compile        what an annotation costs `cargo check`
  trace FILE     hit ratio and speed on an access trace: big-endian u32 keys, plain or .xz

  --json         one object a line instead of the table: suite, case, subject, value, unit";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let report = match words[..] {
        ["hit"] => hit::run(),
        ["redis"] => redis::run(),
        ["stampede"] => stampede::run(),
        ["batch"] => batch::run(),
        ["tags"] => tags::run(),
        ["write_behind"] => write_behind::run(),
        ["write_through"] => write_through::run(),
        // How `stampede` starts its other processes.
        [stampede::CHILD, subject, url] => {
            stampede::child(subject, url);
            return ExitCode::SUCCESS;
        }
        ["compile"] => compile::run(),
        ["trace", file] => match trace::run(file) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        },
        ["-h" | "--help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if json {
        report.print_json();
    } else {
        report.print_table();
    }
    ExitCode::SUCCESS
}

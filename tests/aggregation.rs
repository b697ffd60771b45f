//! The example that counts views: what it says is held against what PostgreSQL saw.

use std::collections::HashMap;
use std::fs;

use tests::{PostgresServer, RedisServer, example};

const VIEWS: u64 = 100_000;

#[tokio::test]
async fn views_are_counted_by_few_statements_with_the_log_in_memory() {
    let said = run(&[]).await;
    assert_eq!(said["cache"], "memory");
}

#[tokio::test]
async fn views_are_counted_by_few_statements_with_the_log_in_redis() {
    let redis = RedisServer::builder().append_only().start().await;
    let said = run(&[("CACHE_URL", &redis.url())]).await;
    assert_eq!(said["cache"], "redis");

    let added: u64 = redis.calls().await["xadd"];
    assert_eq!(added, VIEWS, "each view is in the log");
}

#[test]
fn without_a_database_it_says_what_to_do() {
    let output = example("aggregation", &[], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("aggregation: set DATABASE_URL "), "{said}");
    assert!(output.stdout.is_empty());
}

/// Runs it on a PostgreSQL server of its own, and checks what it says.
async fn run(variables: &[(&str, &str)]) -> HashMap<String, String> {
    let postgres = PostgresServer::builder()
        .config("log_statement=mod")
        .start()
        .await;
    let url = postgres.url();
    let variables = [variables, &[("DATABASE_URL", &url)]].concat();
    let output = example("aggregation", &[], &variables);
    let failure = String::from_utf8_lossy(&output.stderr);
    // It compares the totals itself, and ends with a panic where they differ.
    assert!(output.status.success(), "{}: {failure}", output.status);

    let said = figures(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(said["views sent"], VIEWS.to_string());
    assert_eq!(said["totals of 100 pages"], "as sent");
    let statements: u64 = said["statements"].parse().unwrap();
    assert!(
        (1..=VIEWS / 100).contains(&statements),
        "{statements} statements"
    );
    assert_eq!(
        statements,
        inserts(&postgres),
        "as PostgreSQL has counted them"
    );
    said
}

fn figures(said: &str) -> HashMap<String, String> {
    said.lines()
        .map(|line| {
            let (name, value) = line.rsplit_once("  ").unwrap();
            (name.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// How many statements that add views PostgreSQL has executed, by its log.
fn inserts(postgres: &PostgresServer) -> u64 {
    let log = fs::read_to_string(postgres.log()).unwrap();
    let adds = |line: &&str| line.contains("execute ") && line.contains("INSERT INTO pages");
    log.lines().filter(adds).count() as u64
}

//! What PostgreSQL keeps: every number that was applied, in the order in which that came about, and of each page the last sequence number.

use std::sync::Arc;

use tokio_postgres::{Client, NoTls, Statement};

use crate::member::Hold;

/// No number is unique here: one that is applied twice has to be seen twice.
pub(crate) const TABLES: &str = "
    CREATE TABLE pages (page bigint PRIMARY KEY, sequence bigint NOT NULL);
    CREATE TABLE numbers (position bigint GENERATED ALWAYS AS IDENTITY, page bigint NOT NULL, number bigint NOT NULL);";

/// Every number with its page, in order. The position is drawn under the lock of the page's row.
pub(crate) const APPLIED: &str = "SELECT page, number FROM numbers ORDER BY position";

/// Some pages with their sequence numbers ($1, $2), and their numbers ($3, $4). A page takes its numbers together with a greater sequence number, and else
/// not at all. Rows are locked in one order, so that two owners of a partition, the old one and the new, do not wait for each other.
const APPLY: &str = "
    WITH taken AS (
      INSERT INTO pages AS p (page, sequence)
      SELECT page, sequence FROM unnest($1::bigint[], $2::bigint[]) AS w (page, sequence) ORDER BY page
      ON CONFLICT (page) DO UPDATE SET sequence = excluded.sequence WHERE p.sequence < excluded.sequence
      RETURNING page)
    INSERT INTO numbers (page, number)
    SELECT n.page, n.number FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS n (page, number, place)
    JOIN taken ON taken.page = n.page ORDER BY n.place";

/// The same without a look at the sequence number.
const APPLY_REGARDLESS: &str = "
    WITH noted AS (
      INSERT INTO pages AS p (page, sequence)
      SELECT page, sequence FROM unnest($1::bigint[], $2::bigint[]) AS w (page, sequence) ORDER BY page
      ON CONFLICT (page) DO UPDATE SET sequence = greatest(p.sequence, excluded.sequence))
    INSERT INTO numbers (page, number)
    SELECT n.page, n.number FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS n (page, number, place) ORDER BY n.place";

/// Numbers of a page that are to be applied together.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) page: u64,
    pub(crate) sequence: u64,
    pub(crate) numbers: Vec<u64>,
}

/// The context of the writers.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    client: Arc<Client>,
    apply: Statement,
    hold: Hold,
}

impl Ledger {
    pub(crate) async fn connect(
        url: &str,
        without_sequence: bool,
        hold: Hold,
    ) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // It ends with the client. What went wrong is told by the client's operations.
        tokio::spawn(async move { drop(connection.await) });
        let apply = if without_sequence {
            APPLY_REGARDLESS
        } else {
            APPLY
        };
        let apply = client.prepare(apply).await?;
        Ok(Self {
            client: Arc::new(client),
            apply,
            hold,
        })
    }

    pub(crate) async fn apply(&self, entries: &[Entry]) -> Result<(), tokio_postgres::Error> {
        let pages: Vec<i64> = entries.iter().map(|entry| signed(entry.page)).collect();
        let sequences: Vec<i64> = entries.iter().map(|entry| signed(entry.sequence)).collect();
        let (mut of, mut numbers) = (Vec::new(), Vec::new());
        for entry in entries {
            numbers.extend(entry.numbers.iter().copied().map(signed));
            of.resize(numbers.len(), signed(entry.page));
        }
        self.client
            .execute(&self.apply, &[&pages, &sequences, &of, &numbers])
            .await?;
        self.hold.after_commit().await;
        Ok(())
    }
}

/// Everything here is below 2^63.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

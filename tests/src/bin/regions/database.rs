//! The database of both regions: a version for each row, on a Redis server that nothing happens to.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError};

/// A row: it is written in one round only, so that a later write does not hide what became of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Row(pub(crate) u64);

/// So many rows are written in a round.
pub(crate) const ROWS: u64 = 250;

impl Row {
    pub(crate) fn of_round(round: u64, number: u64) -> Self {
        Self(round * ROWS + number)
    }
}

#[derive(Clone)]
pub(crate) struct Database(MultiplexedConnection);

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(url)?;
        // A process that was stopped is late, and not the database.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await?;
        Ok(Self(connection))
    }

    async fn ask<T: FromRedisValue>(&self, command: &str, row: Row) -> T {
        let mut connection = self.0.clone();
        let answer = redis::cmd(command)
            .arg(row.0)
            .query_async(&mut connection)
            .await;
        answer.expect("nothing happens to the database")
    }

    /// Changes the row, and returns its new version.
    pub(crate) async fn change(&self, row: Row) -> u64 {
        self.ask("INCR", row).await
    }

    /// The version of the row now.
    pub(crate) async fn version(&self, row: Row) -> u64 {
        self.ask::<Option<u64>>("GET", row).await.unwrap_or(0)
    }
}

//! PostgreSQL: a row, and its version, which grows by one with each write.

use std::sync::Arc;

use tokio::sync::RwLock;
use tokio_postgres::{Client, Error, NoTls, Statement};

use crate::keys::RowId;

const CONNECTIONS: usize = 4;

/// A few connections, which are made again after the server was.
#[derive(Debug)]
pub(super) struct Database {
    address: String,
    connections: [RwLock<Option<Arc<Connection>>>; CONNECTIONS],
}

#[derive(Debug)]
struct Connection {
    client: Client,
    update: Statement,
    select: Statement,
}

impl Connection {
    async fn open(address: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        // It ends with the client. What went wrong is told by the client's operations.
        tokio::spawn(async move { drop(connection.await) });
        let update = "UPDATE rows SET version = version + 1 WHERE id = $1 RETURNING version";
        Ok(Self {
            update: client.prepare(update).await?,
            select: client
                .prepare("SELECT version FROM rows WHERE id = $1")
                .await?,
            client,
        })
    }
}

impl Database {
    pub(super) fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            connections: Default::default(),
        }
    }

    /// Any of the connections: those who ask for one row do not all queue in one.
    async fn connection(&self, place: u64) -> Result<Arc<Connection>, Error> {
        let place = usize::try_from(place % CONNECTIONS as u64).unwrap_or(0);
        let slot = &self.connections[place];
        let usable = |connection: &Option<Arc<Connection>>| {
            let connection = connection.as_ref()?;
            (!connection.client.is_closed()).then(|| Arc::clone(connection))
        };
        if let Some(connection) = usable(&*slot.read().await) {
            return Ok(connection);
        }
        let mut slot = slot.write().await;
        if let Some(connection) = usable(&slot) {
            return Ok(connection);
        }
        let connection = Arc::new(Connection::open(&self.address).await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    pub(super) async fn version(&self, row: RowId, place: u64) -> Result<u64, Error> {
        let connection = self.connection(place).await?;
        let id = row.0.cast_signed();
        let found = connection
            .client
            .query_one(&connection.select, &[&id])
            .await?;
        Ok(found.get::<_, i64>(0).cast_unsigned())
    }

    /// Writes the row, and returns its new version.
    pub(super) async fn write(&self, row: RowId, place: u64) -> Result<u64, Error> {
        let connection = self.connection(place).await?;
        let id = row.0.cast_signed();
        let written = connection
            .client
            .query_one(&connection.update, &[&id])
            .await?;
        Ok(written.get::<_, i64>(0).cast_unsigned())
    }

    /// Makes the rows, where they are not there.
    pub(super) async fn make(&self, rows: impl Iterator<Item = RowId>) -> Result<(), Error> {
        let ids: Vec<i64> = rows.map(|row| row.0.cast_signed()).collect();
        let make =
            "INSERT INTO rows SELECT id, 0 FROM unnest($1::bigint[]) AS id ON CONFLICT DO NOTHING";
        self.connection(0)
            .await?
            .client
            .execute(make, &[&ids])
            .await?;
        Ok(())
    }
}

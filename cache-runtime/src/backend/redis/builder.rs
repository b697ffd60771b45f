//! Settings of the Redis backend.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo,
};

use super::Redis;
use super::link::{Link, Plan};
use super::log::Appends;
use super::names::Names;
use super::url::{Address, Target};
use crate::error::{ConfigError, Error};

/// A peer that vanished without a word is noticed after about this long, by the kernel: the process may hang longer than that without
/// losing its connection, as its kernel still answers.
const PEER_GONE: Duration = Duration::from_secs(5);

/// Sets up a [`Redis`] backend. Made by [`Redis::from_url`].
#[derive(Clone)]
#[must_use = "call `connect`"]
pub struct RedisBuilder {
    target: Target,
    namespace: String,
    connect_timeout: Duration,
    root_ca: Option<Vec<u8>>,
}

impl RedisBuilder {
    /// The namespace where none is set.
    pub const DEFAULT_NAMESPACE: &str = "cache";

    /// How long one attempt to connect may take where nothing is set.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

    pub(super) fn new(target: Target) -> Self {
        Self {
            connect_timeout: target
                .connect_timeout
                .unwrap_or(Self::DEFAULT_CONNECT_TIMEOUT),
            target,
            namespace: Self::DEFAULT_NAMESPACE.into(),
            root_ca: None,
        }
    }

    /// Keeps this cache's keys apart from those of others on the same server. Any text will do.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long one attempt to connect may take, name lookup and login included.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Trusts only this certificate authority, in PEM form, for `rediss://`. Without it those of the system are trusted.
    ///
    /// Needs the cargo feature `tls`.
    pub fn tls_root_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_ca = Some(pem.into());
        self
    }

    /// Connects, or where the server cannot be reached begins to try in the background: the backend is made either way, and
    /// the failure is logged once.
    ///
    /// The backend belongs to the tokio runtime in which this is called: its connection lives and ends with it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the settings cannot be used, never because the server is away.
    pub async fn connect(self) -> Result<Redis, Error> {
        let (link, names) = self.open().await?;
        let appends = Arc::new(Appends::new(link.clone(), names.clone()));
        Ok(Redis {
            link,
            names,
            appends,
        })
    }

    /// A connection, and the names of the namespace.
    pub(super) async fn open(self) -> Result<(Arc<Link>, Arc<Names>), Error> {
        let names = Arc::new(Names::new(&self.namespace));
        let link = Link::open(self.plan()?).await;
        Ok((link, names))
    }

    /// How a connection is made by these settings.
    pub(super) fn plan(self) -> Result<Plan, ConfigError> {
        Ok(Plan {
            connect_timeout: self.connect_timeout,
            address: self.target.address.to_string(),
            client: self.client()?,
        })
    }

    /// The namespace that was set.
    pub(crate) fn namespace_name(&self) -> &str {
        &self.namespace
    }

    fn client(self) -> Result<Client, ConfigError> {
        let unusable = |error: redis::RedisError| {
            ConfigError::new("Redis connection", error.category().to_owned())
        };
        let is_tls = matches!(self.target.address, Address::Tls { .. });
        if self.root_ca.is_some() && !is_tls {
            return Err(ConfigError::new(
                "root CA of the Redis connection",
                "is only for a `rediss://` URL",
            ));
        }
        let info = connection_info(self.target).map_err(unusable)?;
        #[cfg(feature = "tls")]
        if is_tls {
            return super::tls::client(info, self.root_ca);
        }
        Client::open(info).map_err(unusable)
    }
}

fn connection_info(target: Target) -> redis::RedisResult<ConnectionInfo> {
    let address = match target.address {
        Address::Tcp { host, port } => ConnectionAddr::Tcp(host, port),
        Address::Tls { host, port } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        Address::Unix(path) => ConnectionAddr::Unix(path),
    };
    // RESP3, so that messages come over the connection that commands go over.
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(i64::from(target.database));
    if let Some(user) = target.user {
        login = login.set_username(user);
    }
    if let Some(password) = target.password {
        login = login.set_password(password);
    }
    Ok(address
        .into_connection_info()?
        .set_tcp_settings(tcp())
        .set_redis_settings(login))
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(PEER_GONE)
        .with_interval(PEER_GONE / 5);
    let settings = TcpSettings::default().set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(PEER_GONE);
    settings
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("target", &self.target)
            .field("namespace", &self.namespace)
            .field("connect_timeout", &self.connect_timeout)
            .field("tls_root_ca", &self.root_ca.is_some())
            .finish()
    }
}

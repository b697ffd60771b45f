//! Reads the URL of a Redis server. No error echoes any part of it in which a password could stand.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{ParseError, Url};

use crate::error::ConfigError;

const DEFAULT_PORT: u16 = 6379;

const PARAMETERS: &str = "`db`, `user`, `pass` and `connect_timeout`";

/// Where the server is and as whom to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
    pub(super) connect_timeout: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp { host, port } | Self::Tls { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |part: &Option<String>| if part.is_some() { "given" } else { "none" };
        f.debug_struct("Target")
            .field("address", &self.address)
            .field("user", &secret(&self.user))
            .field("password", &secret(&self.password))
            .field("database", &self.database)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let scheme = Scheme::of(text)?;
        refuse_unescaped_secret(text)?;
        let url = Url::parse(text).map_err(unreadable)?;
        if url.fragment().is_some() {
            return Err(wrong(
                "fragment",
                "a Redis URL has none: a `#` in a password is written `%23`",
            ));
        }
        let mut target = Self {
            address: address(scheme, &url)?,
            user: part_of_login("user", Some(url.username()))?,
            password: part_of_login("password", url.password())?,
            database: 0,
            connect_timeout: None,
        };
        let in_path = match &target.address {
            Address::Unix(_) => None,
            _ => Some(url.path().trim_start_matches('/')).filter(|path| !path.is_empty()),
        };
        if let Some(path) = in_path {
            target.database = database(path)?;
        }
        target.take_parameters(&url, in_path.is_some())?;
        if target.user.is_some() && target.password.is_none() {
            return Err(wrong(
                "user",
                "comes without a password: write `redis://user:password@host`",
            ));
        }
        Ok(target)
    }

    fn take_parameters(&mut self, url: &Url, mut database_given: bool) -> Result<(), ConfigError> {
        for pair in url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "db" if database_given => return Err(wrong("database", "is given twice")),
                "db" => {
                    self.database = database(value)?;
                    database_given = true;
                }
                "user" if self.user.is_some() => return Err(wrong("user", "is given twice")),
                "user" => self.user = part_of_login("user", Some(value))?,
                "pass" if self.password.is_some() => {
                    return Err(wrong("password", "is given twice"));
                }
                "pass" => self.password = part_of_login("password", Some(value))?,
                "connect_timeout" => self.connect_timeout = Some(timeout(value)?),
                _ => return Err(unknown_parameter(name)),
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Tcp,
    Tls,
    Unix,
}

impl Scheme {
    /// Not by the parser: of a URL without `://` it would take a user or a host for the scheme.
    fn of(text: &str) -> Result<Self, ConfigError> {
        let scheme = text
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("redis") => Ok(Self::Tcp),
            Some("rediss") if cfg!(feature = "tls") => Ok(Self::Tls),
            Some("rediss") => Err(wrong(
                "scheme",
                "`rediss` needs the cargo feature `tls` of `cache-runtime`",
            )),
            Some("redis+unix" | "unix") => Ok(Self::Unix),
            Some(_) => Err(wrong(
                "scheme",
                "must be `redis`, `rediss`, `redis+unix` or `unix`",
            )),
            None => Err(wrong(
                "scheme",
                "is missing: the URL begins with `redis://`, `rediss://`, `redis+unix://` or `unix://`",
            )),
        }
    }
}

/// An `@` behind the end of host and port means that they ended too early: in the middle of a password.
fn refuse_unescaped_secret(text: &str) -> Result<(), ConfigError> {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let behind = rest
        .find(['/', '?', '#', '\\'])
        .map_or("", |end| &rest[end..]);
    if behind.contains('@') {
        return Err(wrong(
            "password",
            "holds a character that ends it too early: write `/` as `%2F`, `?` as `%3F`, `#` as `%23`, `@` as `%40`",
        ));
    }
    Ok(())
}

fn unreadable(error: ParseError) -> ConfigError {
    match error {
        ParseError::EmptyHost => wrong("host", "is missing"),
        ParseError::InvalidPort => wrong("port", "must be a number from 1 to 65535"),
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => wrong(
            "host",
            "is not an IP address (IPv6 stands in brackets: `redis://[::1]:6379`)",
        ),
        ParseError::InvalidDomainCharacter | ParseError::IdnaError => {
            wrong("host", "holds a character that a host name cannot")
        }
        _ => ConfigError::new(
            "Redis URL",
            "cannot be read: write it as `redis://user:password@host:port/database`",
        ),
    }
}

fn address(scheme: Scheme, url: &Url) -> Result<Address, ConfigError> {
    let host = url.host_str().unwrap_or_default();
    if scheme == Scheme::Unix {
        if !host.is_empty() {
            return Err(wrong(
                "host",
                "must be empty for a unix socket: `unix:///run/redis.sock`",
            ));
        }
        let path = decode(url.path()).map_err(|problem| wrong("socket path", problem))?;
        return match path.trim_start_matches('/') {
            "" => Err(wrong("socket path", "is missing: `unix:///run/redis.sock`")),
            _ => Ok(Address::Unix(path.into())),
        };
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("host", "is missing"));
    }
    let host = decode(host).map_err(|problem| wrong("host", problem))?;
    let port = match url.port() {
        Some(0) => return Err(wrong("port", "must be a number from 1 to 65535")),
        port => port.unwrap_or(DEFAULT_PORT),
    };
    Ok(if scheme == Scheme::Tls {
        Address::Tls { host, port }
    } else {
        Address::Tcp { host, port }
    })
}

fn database(text: &str) -> Result<u32, ConfigError> {
    // `parse` alone would take a sign.
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten();
    number.ok_or_else(|| wrong("database", "must be a number: `redis://host/0` or `?db=0`"))
}

fn timeout(text: &str) -> Result<Duration, ConfigError> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    match digits.parse::<u32>() {
        Ok(count) if count > 0 => Ok(Duration::from_millis(u64::from(count) * unit)),
        _ => Err(wrong(
            "parameter `connect_timeout`",
            "must be a time such as `2s` or `500ms`",
        )),
    }
}

fn part_of_login(part: &'static str, text: Option<&str>) -> Result<Option<String>, ConfigError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => decode(text)
            .map(Some)
            .map_err(|problem| wrong(part, problem)),
    }
}

fn unknown_parameter(name: &str) -> ConfigError {
    let is_name = !name.is_empty()
        && name.len() <= 32
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let meant = match name {
        "database" | "dbnum" => Some("db"),
        "username" | "usr" => Some("user"),
        "password" | "passwd" | "pwd" => Some("pass"),
        "timeout" | "connection_timeout" | "connect-timeout" => Some("connect_timeout"),
        _ => None,
    };
    let problem = match (is_name, meant) {
        (true, Some(meant)) => format!("`{name}` is unknown; did you mean `{meant}`?"),
        (true, None) => format!("`{name}` is unknown; there are {PARAMETERS}"),
        (false, _) => format!("is unknown; there are {PARAMETERS}"),
    };
    ConfigError::new("parameter of the Redis URL", problem)
}

fn wrong(part: &str, problem: &'static str) -> ConfigError {
    ConfigError::new(format!("{part} of the Redis URL"), problem)
}

/// Percent-decodes. The error does not say where: what stands there may be a secret.
fn decode(text: &str) -> Result<String, &'static str> {
    const CUT: &str = "holds a `%` that two hexadecimal digits do not follow: write `%` as `%25`";
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16))
            .ok_or(CUT)
    };
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8,
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| "is not UTF-8 once it is percent-decoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.into(),
            port,
        }
    }

    fn target(
        address: Address,
        user: Option<&str>,
        password: Option<&str>,
        database: u32,
    ) -> Target {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Target {
            address,
            user: owned(user),
            password: owned(password),
            database,
            connect_timeout: None,
        }
    }

    #[test]
    fn every_form_of_url_is_read() {
        let socket = || Address::Unix("/run/redis.sock".into());
        let table = [
            (
                "redis://localhost",
                target(tcp("localhost", 6379), None, None, 0),
            ),
            (
                " redis://localhost/\n",
                target(tcp("localhost", 6379), None, None, 0),
            ),
            (
                "REDIS://10.0.0.7:7000/3",
                target(tcp("10.0.0.7", 7000), None, None, 3),
            ),
            ("redis://h?db=4", target(tcp("h", 6379), None, None, 4)),
            (
                "redis://[::1]:6380/1",
                target(tcp("::1", 6380), None, None, 1),
            ),
            (
                "redis://:secret@h",
                target(tcp("h", 6379), None, Some("secret"), 0),
            ),
            (
                "redis://anna:p%40ss%2F%3A%25@h/2",
                target(tcp("h", 6379), Some("anna"), Some("p@ss/:%"), 2),
            ),
            (
                "redis://anna:p@ss@h",
                target(tcp("h", 6379), Some("anna"), Some("p@ss"), 0),
            ),
            (
                "redis://h?user=anna&pass=s%26t",
                target(tcp("h", 6379), Some("anna"), Some("s&t"), 0),
            ),
            ("unix:///run/redis.sock", target(socket(), None, None, 0)),
            (
                "redis+unix:///run/redis.sock?db=2&user=u&pass=p",
                target(socket(), Some("u"), Some("p"), 2),
            ),
            (
                "unix:///run/my%20redis.sock",
                target(Address::Unix("/run/my redis.sock".into()), None, None, 0),
            ),
        ];
        for (url, expected) in table {
            assert_eq!(Target::parse(url), Ok(expected), "{url}");
        }
        assert_eq!(
            Target::parse("redis://h?connect_timeout=250ms")
                .expect("valid")
                .connect_timeout,
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            Target::parse("redis://h?connect_timeout=2s")
                .expect("valid")
                .connect_timeout,
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn an_error_names_the_part_and_never_the_secret() {
        let table = [
            ("", "scheme"),
            ("localhost:6379", "scheme"),
            ("hunter2:hunter2@h", "scheme"),
            ("http://h", "scheme"),
            ("hunter2://h", "scheme"),
            ("redis:h", "scheme"),
            ("redis://", "host"),
            ("redis:///1", "host"),
            ("redis://:hunter2@", "host"),
            ("redis://:hunter2@:6379", "host"),
            ("redis://:hunter2@[::zz]", "host"),
            ("redis://:hunter2@[::1", "host"),
            ("redis://:hunter2@h h", "host"),
            ("redis://:hunter2@h:99999", "port"),
            ("redis://:hunter2@h:0", "port"),
            ("redis://h:hunter2", "port"),
            ("redis://:hunter2@h/one", "database"),
            ("redis://:hunter2@h/-1", "database"),
            ("redis://:hunter2@h/+1", "database"),
            ("redis://:hunter2@h/1/2", "database"),
            ("redis://:hunter2@h/1?db=1", "database"),
            ("redis://:hunter2@h?db=", "database"),
            ("redis://:hunter2/hunter2@h", "password"),
            ("redis://u:12/hunter2@h", "password"),
            ("redis://u:12?hunter2=1@h", "password"),
            ("redis://u:hunter2#hunter2@h", "password"),
            ("redis://u:hunter2\\hunter2@h", "password"),
            ("redis://u:hunter2%zz@h", "password"),
            ("redis://u:hunter2%ff@h", "password"),
            ("redis://:hunter2@h?pass=hunter2", "password"),
            ("redis://hunter2%:p@h", "user"),
            ("redis://hunter2@h", "user"),
            ("redis://u:hunter2@h?user=hunter2", "user"),
            ("redis://:hunter2@h#f", "fragment"),
            ("redis://:hunter2@h?colour=hunter2", "parameter"),
            ("redis://:hunter2@h?connect_timeout=hunter2", "parameter"),
            ("unix://", "socket path"),
            ("unix:///", "socket path"),
            ("unix://hunter2/run/redis.sock", "host"),
        ];
        for (url, part) in table {
            let error = Target::parse(url).expect_err(url);
            assert!(error.place().starts_with(part), "{url}: {error}");
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_with_those_that_exist() {
        let message = |url| Target::parse(url).expect_err(url).to_string();
        assert!(message("redis://h?colour=red").contains("`colour` is unknown; there are `db`"));
        assert!(message("redis://h?password=x").contains("did you mean `pass`?"));
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_without_its_feature_names_the_feature() {
        assert!(
            Target::parse("rediss://h")
                .expect_err("no TLS")
                .to_string()
                .contains("cargo feature `tls`")
        );
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_is_a_scheme() {
        let address = Address::Tls {
            host: "h".into(),
            port: 6379,
        };
        assert_eq!(
            Target::parse("rediss://h"),
            Ok(target(address, None, None, 0))
        );
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let target = Target::parse("redis://anna:hunter2@h").expect("valid");
        let text = format!("{target:?}");
        assert!(
            !text.contains("hunter2") && !text.contains("anna"),
            "{text}"
        );
    }
}

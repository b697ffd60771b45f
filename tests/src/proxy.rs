//! A TCP proxy between a client and its server, to make the network slow, silent or gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::RedisServer;

/// A proxy in front of a server of `127.0.0.1`, on a free port, until it is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use tests::{Proxy, RedisServer};
///
/// let server = RedisServer::start().await;
/// let proxy = Proxy::before(&server).await;
/// let client = redis::Client::open(proxy.url()).unwrap();
/// let mut connection = client.get_multiplexed_async_connection().await.unwrap();
///
/// proxy.hang(); // requests and replies wait
/// let ping = redis::cmd("PING");
/// let late = tokio::time::timeout(Duration::from_millis(5), ping.query_async::<String>(&mut connection)).await;
/// assert!(late.is_err());
/// proxy.pass(); // and go on
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    credentials: String,
    state: watch::Sender<State>,
    accepted: Arc<AtomicUsize>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Where new connections lead.
    target: SocketAddr,
    mode: Mode,
    /// How often connections were cut: one from before the last cut ends.
    cuts: u64,
    /// How often they were stranded: one from before the last time passes nothing on any more.
    strandings: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    Hang,
    HangReplies,
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

impl Proxy {
    /// A proxy in front of `server`, which passes everything on at first. It keeps to the server's port over restarts.
    pub async fn before(server: &RedisServer) -> Self {
        let mut proxy = Self::to(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))).await;
        let url = server.url();
        proxy.credentials = url
            .strip_prefix("redis://")
            .and_then(|rest| rest.rsplit_once('@'))
            .map_or_else(String::new, |(credentials, _)| format!("{credentials}@"));
        proxy
    }

    /// A proxy in front of whatever listens at `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = watch::Sender::new(State {
            target,
            mode: Mode::Pass,
            cuts: 0,
            strandings: 0,
        });
        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptor = tokio::spawn(accept(listener, state.clone(), Arc::clone(&accepted)));
        Self {
            address,
            credentials: String::new(),
            state,
            accepted,
            acceptor,
        }
    }

    /// `redis://…` of the proxy, with the server's user and password.
    pub fn url(&self) -> String {
        format!("redis://{}{}/", self.credentials, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Passes everything on at once, what was held back first.
    pub fn pass(&self) {
        self.set(Mode::Pass, 0);
    }

    /// Holds each request back for this long.
    pub fn delay(&self, time: Duration) {
        self.set(Mode::Delay(time), 0);
    }

    /// Holds requests and replies back, and keeps the connections open.
    pub fn hang(&self) {
        self.set(Mode::Hang, 0);
    }

    /// Holds replies back: the server does what it is told, and the client does not learn it.
    pub fn hang_replies(&self) {
        self.set(Mode::HangReplies, 0);
    }

    /// Passes nothing on any more over the connections that there are, and keeps them open; new ones are served. As when a server behind its proxy was replaced.
    pub fn strand(&self) {
        self.state.send_modify(|state| state.strandings += 1);
    }

    /// Ends the connections there are; new ones lead to `server`, which takes the place of the other.
    pub fn turn_to(&self, server: &RedisServer) {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        self.state.send_modify(|state| state.target = target);
        self.cut();
    }

    /// Ends the connections there are; new ones are served.
    pub fn cut(&self) {
        self.set(Mode::Pass, 1);
    }

    /// Ends the connections there are, and new ones as soon as they are made.
    pub fn refuse(&self) {
        self.set(Mode::Refuse, 1);
    }

    fn set(&self, mode: Mode, cuts: u64) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.cuts += cuts;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.refuse();
    }
}

async fn accept(listener: TcpListener, state: watch::Sender<State>, accepted: Arc<AtomicUsize>) {
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        let State { target, mode, .. } = *state.borrow();
        if mode != Mode::Refuse {
            tokio::spawn(serve(client, target, state.subscribe()));
        }
    }
}

/// Copies both ways until either end closes, or the connection is cut.
async fn serve(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // A small request must not wait for more to come: the delays are the test's to make.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let born = state.borrow().cuts;
    let requests = copy(Direction::Request, from_client, to_server, state.clone());
    let replies = copy(Direction::Reply, from_server, to_client, state.clone());
    tokio::select! {
        () = requests => {}
        () = replies => {}
        _ = state.wait_for(|state| state.cuts != born) => {}
    }
}

async fn copy(
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let born = state.borrow().strandings;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let held = |state: &State| {
            let is_held = match state.mode {
                Mode::Hang => true,
                Mode::HangReplies => direction == Direction::Reply,
                Mode::Pass | Mode::Delay(_) | Mode::Refuse => false,
            };
            is_held && state.strandings == born
        };
        let Ok(State {
            mode, strandings, ..
        }) = state
            .wait_for(|state| !held(state))
            .await
            .map(|state| *state)
        else {
            return;
        };
        if strandings != born {
            // It is taken and goes nowhere, until this end closes.
            while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            return;
        }
        if let (Mode::Delay(time), Direction::Request) = (mode, direction) {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

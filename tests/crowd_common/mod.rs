//! A server process, and many clients of it that come from as many addresses as they like.
#![allow(dead_code)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sync_gib::ibgib::{IbGib, System, TjpAddr, json::stringify};
use sync_gib::keystone::{self, MasterSecret, presets};
use sync_gib::peer::wire::{self, EvolutionBody};
use sync_gib::sync::msg::{Msg, PROTOCOL};
use sync_gib::sync::{Established, establish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

/// How long anything may take before it is taken for hanging.
pub const LONG: Duration = Duration::from_secs(60);

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sync-gib");

/// A `sync-gib serve` process, which ends with this.
pub struct Served {
    child: Child,
    pub addr: SocketAddr,
    dir: tempfile::TempDir,
}

impl Served {
    /// Starts one on a free port of loopback.
    pub fn start(args: &[&str]) -> Served {
        Served::started_by(Command::new(PROGRAM), args)
    }

    /// Starts one by a command that takes the program's arguments.
    pub fn started_by(mut command: Command, args: &[&str]) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0", "--space"]);
        command.arg(dir.path().join("server.db")).args(args).env_remove("SYNC_GIB_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| {
            panic!("{line:?}: {}", std::fs::read_to_string(dir.path().join("log")).unwrap())
        });
        Served { addr: addr.parse().unwrap(), child, dir }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Where it keeps its file.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(self.proc().join("task")).unwrap().count()
    }

    /// How often it has a file open that ends so.
    pub fn open(&self, end: &str) -> usize {
        let files = std::fs::read_dir(self.proc().join("fd")).unwrap();
        let files = files.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        files.filter(|path| path.to_string_lossy().ends_with(end)).count()
    }

    /// The most memory that it has held so far, in MiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() >> 10
    }

    /// Its limits, as the system tells them.
    pub fn limits(&self) -> String {
        std::fs::read_to_string(self.proc().join("limits")).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback.
pub fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// A connection that comes from `source`.
pub async fn connect(addr: SocketAddr, source: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(addr).await
}

/// The head of a post whose body has `length` bytes.
pub fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Sends a request and reads until the server closes: the status, 0 where there is none.
pub async fn ask(tcp: &mut TcpStream, request: &[u8]) -> (u16, String) {
    // A server that refuses before it has read all may reset the connection.
    let _ = tcp.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(LONG, tcp.read_to_end(&mut answer)).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer)
}

/// Posts a body.
pub async fn post(addr: SocketAddr, source: Ipv4Addr, path: &str, body: &str) -> (u16, String) {
    let mut tcp = connect(addr, source).await.unwrap();
    ask(&mut tcp, (head(path, body.len()) + body).as_bytes()).await
}

pub type Ws = WebSocketStream<TcpStream>;

/// Opens a WebSocket from `source`.
pub async fn open(addr: SocketAddr, source: Ipv4Addr) -> Result<Ws, tungstenite::Error> {
    let tcp = connect(addr, source).await?;
    let opening = tokio_tungstenite::client_async(format!("ws://{addr}{}", wire::PATH_WS), tcp);
    Ok(timeout(LONG, opening).await.expect("an answer to the handshake")?.0)
}

/// Somebody with a secret.
pub struct Someone {
    pub secret: MasterSecret,
    pub genesis: IbGib,
    pub domain: TjpAddr,
}

impl Someone {
    pub fn new(secret: &str) -> Someone {
        let secret = MasterSecret::from_raw(secret.to_owned().into()).unwrap();
        let pools = presets::identity_pools(&System::new()).unwrap();
        let genesis = keystone::genesis(&secret, &pools, None, &System::new()).unwrap();
        Someone { secret, domain: genesis.addr().unwrap().into(), genesis }
    }

    /// Registers, and establishes a session.
    pub async fn establish(&self, addr: SocketAddr, source: Ipv4Addr) -> Established {
        let said = post(addr, source, wire::PATH_KEYSTONES, &self.genesis.to_json()).await;
        assert_eq!(said.0, 200, "{}", said.1);
        let made = establish(&self.domain, &self.genesis, &self.secret, &System::new()).unwrap();
        let body =
            stringify(&EvolutionBody { frames: vec![&made.identity], session: &made.session });
        let path = wire::domain_path(wire::PATH_EVOLUTION, &self.domain);
        let said = post(addr, source, &path, &body).await;
        assert_eq!(said.0, 200, "{}", said.1);
        made
    }

    /// A socket that proved itself and says nothing more.
    pub async fn connected(&self, addr: SocketAddr, source: Ipv4Addr) -> Ws {
        let mut made = self.establish(addr, source).await;
        let mut ws = open(addr, source).await.unwrap();
        let said = prove(&mut ws, &self.domain, &mut made).await;
        assert!(matches!(said, Msg::AuthOk { .. }), "{said:?}");
        ws
    }
}

/// Proves an established session; what the server says to it.
pub async fn prove(ws: &mut Ws, domain: &TjpAddr, made: &mut Established) -> Msg {
    let (domain, session) = (domain.clone(), made.session.addr().unwrap());
    say(
        ws,
        &Msg::Hello {
            protocol: PROTOCOL,
            domain,
            session: session.into(),
            features: Default::default(),
        },
    )
    .await;
    let challenge = hear(ws).await;
    let Msg::AuthChallenge { challenge_uuid, demanded_ids } = challenge else {
        return challenge;
    };
    let keystone = made.signer.prove(&challenge_uuid, &demanded_ids, &System::new()).unwrap();
    say(ws, &Msg::AuthProof { keystone }).await;
    hear(ws).await
}

pub async fn say(ws: &mut Ws, msg: &Msg) {
    ws.send(Message::text(wire::write(msg))).await.unwrap();
}

/// The next message.
pub async fn hear(ws: &mut Ws) -> Msg {
    loop {
        match timeout(LONG, ws.next()).await.expect("a message") {
            Some(Ok(Message::Text(text))) => return wire::read(text.as_str()).unwrap(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Runs `make` for each number, `width` at a time.
pub async fn many<T, F: Future<Output = T>>(
    count: usize,
    width: usize,
    make: impl FnMut(usize) -> F,
) -> Vec<T> {
    futures_util::stream::iter((0..count).map(make)).buffered(width).collect().await
}

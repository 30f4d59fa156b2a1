//! A line on loopback between a client and a server, which knows the messages that pass and does
//! to each what a test says.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How long a thread waits for bytes before it looks whether the line still stands.
const TICK: Duration = Duration::from_millis(2);

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// A whole message: of HTTP, or a text of the WebSocket.
#[derive(Debug, Clone)]
pub struct Event {
    /// The how manieth it is of all, from 1.
    pub seq: usize,
    pub way: Way,
    /// `POST evolution`, `200 to POST evolution`, `auth_proof`, `sync_frame_request commit`.
    pub name: String,
    /// The how manieth it is of this name, from 1.
    pub nth: usize,
}

impl Event {
    /// Whether it is the message of this name that comes as the how manieth of that name.
    pub fn is(&self, (name, nth): (&str, usize)) -> bool {
        self.name == name && self.nth == nth
    }

    /// What it is known by, whatever messages come before it.
    pub fn named(&self) -> (&str, usize) {
        (&self.name, self.nth)
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = if self.way == Way::Up { "up" } else { "down" };
        write!(f, "{} {} ({way})", self.name, self.nth)
    }
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Fin,
    Rst,
}

/// What becomes of a message, and of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Pass,
    /// It passes, and then the line is cut.
    Cut(Cut),
    /// It vanishes, and the line is cut.
    Lose(Cut),
    /// It vanishes, and so does all that follows it this way, on every line.
    Swallow,
    /// Its first half passes; the other half vanishes, and so does all that follows it this way.
    Tear,
    /// It passes but for so many of its last bytes, and the line is cut.
    Shorten(usize, Cut),
}

type Script = Box<dyn FnMut(&Event) -> Act + Send>;
type After = Box<dyn FnMut(&Event) + Send>;
type Look = Box<dyn FnMut(&Event, &[u8]) + Send>;

struct State {
    target: SocketAddr,
    script: Script,
    after: After,
    look: Look,
    events: Vec<Event>,
    swallows: [bool; 2],
    /// The frames of identities that were posted, by the frame that each was signed on.
    proofs: HashMap<String, HashSet<String>>,
    /// The first frames that were posted for registration.
    registered: HashSet<String>,
}

/// A line; it ends with the process.
pub struct Relay {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Relay {
    /// A line to a server, on which all passes.
    pub fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            target,
            script: Box::new(|_| Act::Pass),
            after: Box::new(|_| {}),
            look: Box::new(|_, _| {}),
            events: Vec::new(),
            swallows: [false; 2],
            proofs: HashMap::new(),
            registered: HashSet::new(),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = shared.lock().unwrap().target;
                // A server that is gone: so is the line.
                if let Ok(server) = TcpStream::connect(target) {
                    join(client, server, &shared);
                }
            }
        });
        Relay { url, state }
    }

    /// Leads to another server from now on, and lets all pass.
    pub fn lead_to(&self, target: SocketAddr) {
        let mut state = self.state.lock().unwrap();
        state.target = target;
        state.swallows = [false; 2];
        state.script = Box::new(|_| Act::Pass);
        state.after = Box::new(|_| {});
        state.look = Box::new(|_, _| {});
        state.events.clear();
    }

    /// Asks `script` what becomes of each message.
    pub fn act(&self, script: impl FnMut(&Event) -> Act + Send + 'static) {
        self.state.lock().unwrap().script = Box::new(script);
    }

    /// Calls `after` once a message is through, or has vanished; nothing else passes meanwhile.
    pub fn after(&self, after: impl FnMut(&Event) + Send + 'static) {
        self.state.lock().unwrap().after = Box::new(after);
    }

    /// Shows each message to `look`, with its bytes, before it passes.
    pub fn look(&self, look: impl FnMut(&Event, &[u8]) + Send + 'static) {
        self.state.lock().unwrap().look = Box::new(look);
    }

    /// What has passed.
    pub fn events(&self) -> Vec<Event> {
        self.state.lock().unwrap().events.clone()
    }

    /// That from each frame of an identity one proof was sent, and one identity registered.
    pub fn one_proof_a_frame(&self) {
        let state = self.state.lock().unwrap();
        for (on, proofs) in &state.proofs {
            assert_eq!(proofs.len(), 1, "proofs of {on}: {proofs:?}");
        }
        assert!(state.registered.len() <= 1, "identities: {:?}", state.registered);
    }
}

/// One line: its ends, and whether it was cut.
struct Line {
    client: TcpStream,
    server: TcpStream,
    is_cut: AtomicBool,
    is_reset: AtomicBool,
    is_upgraded: AtomicBool,
    /// The request that is to be answered.
    asked: Mutex<String>,
}

impl Line {
    fn cut(&self, cut: Cut) {
        self.is_cut.store(true, Ordering::SeqCst);
        if cut == Cut::Rst {
            for end in [&self.client, &self.server] {
                // Closed with time to linger of nothing, a socket sends a reset.
                let _ = rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO));
            }
            self.is_reset.store(true, Ordering::SeqCst);
        } else {
            let _ = self.client.shutdown(Shutdown::Write);
            let _ = self.server.shutdown(Shutdown::Write);
        }
    }
}

fn join(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) {
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
        end.set_read_timeout(Some(TICK)).unwrap();
    }
    let no = || AtomicBool::new(false);
    let (is_cut, is_reset, is_upgraded) = (no(), no(), no());
    let asked = Mutex::default();
    let line = Arc::new(Line { client, server, is_cut, is_reset, is_upgraded, asked });
    for way in [Way::Up, Way::Down] {
        let (line, state) = (Arc::clone(&line), Arc::clone(state));
        std::thread::spawn(move || carry(&line, way, &state));
    }
}

/// Moves one way's messages until an end is closed or the line is cut.
fn carry(line: &Line, way: Way, state: &Mutex<State>) {
    let (from, to) = match way {
        Way::Up => (&line.client, &line.server),
        Way::Down => (&line.server, &line.client),
    };
    let mut held = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        if line.is_reset.load(Ordering::SeqCst) {
            return;
        }
        let mut from = from;
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(_) if line.is_cut.load(Ordering::SeqCst) => continue,
            Ok(read) => held.extend_from_slice(&chunk[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        }
        loop {
            let is_http = !line.is_upgraded.load(Ordering::SeqCst);
            let Some((len, name)) = message(&held, way, line) else { break };
            let mut bytes: Vec<u8> = held.drain(..len).collect();
            if is_http {
                keep_plain(&mut bytes);
            }
            pass(line, way, state, to, &bytes, name);
        }
    }
    // An end that is closed closes the other, but for what was swallowed: there nobody hears of it.
    if !state.lock().unwrap().swallows[way as usize] {
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn pass(
    line: &Line,
    way: Way,
    state: &Mutex<State>,
    mut to: &TcpStream,
    bytes: &[u8],
    name: Option<String>,
) {
    let mut state = state.lock().unwrap();
    let mut act = Act::Pass;
    let event = name.map(|name| {
        let nth = 1 + state.events.iter().filter(|event| event.name == name).count();
        Event { seq: state.events.len() + 1, way, name, nth }
    });
    if let Some(event) = event.as_ref().filter(|_| !line.is_cut.load(Ordering::SeqCst)) {
        state.note(event, bytes);
        (state.look)(event, bytes);
        act = (state.script)(event);
    }
    if let Act::Tear | Act::Shorten(..) = act {
        let len = match act {
            Act::Shorten(last, _) => bytes.len().checked_sub(last).unwrap(),
            _ => bytes.len() / 2,
        };
        let _ = to.write_all(&bytes[..len]);
    }
    if matches!(act, Act::Swallow | Act::Tear) {
        state.swallows[way as usize] = true;
    }
    if line.is_cut.load(Ordering::SeqCst) {
        return;
    }
    if !state.swallows[way as usize] && !matches!(act, Act::Lose(_) | Act::Shorten(..)) {
        let _ = to.write_all(bytes);
    }
    if let Act::Cut(cut) | Act::Lose(cut) | Act::Shorten(_, cut) = act {
        line.cut(cut);
    }
    if let Some(event) = event {
        (state.after)(&event);
    }
}

impl State {
    fn note(&mut self, event: &Event, bytes: &[u8]) {
        self.events.push(event.clone());
        let Some(head) = find(bytes, b"\r\n\r\n") else { return };
        let Ok(body) = serde_json::from_slice::<Value>(&bytes[head + 4..]) else { return };
        if event.name == "POST keystones" {
            self.registered.insert(body["gib"].as_str().unwrap().to_owned());
        }
        for frame in body["frames"].as_array().into_iter().flatten() {
            let on = frame["rel8ns"]["past"].as_array().and_then(|past| past.last());
            let Some(on) = on.and_then(Value::as_str) else { continue };
            let gib = frame["gib"].as_str().unwrap().to_owned();
            self.proofs.entry(on.to_owned()).or_default().insert(gib);
        }
    }
}

/// Has the head of a request or an answer name no compression, so that every message can be read here.
fn keep_plain(bytes: &mut [u8]) {
    let head = find(bytes, b"\r\n\r\n").unwrap_or(0);
    while let Some(at) = find(&bytes[..head], b"zstd") {
        bytes[at] = b'x';
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The length of the message at the beginning, where it is whole, and its name, where it has one.
fn message(held: &[u8], way: Way, line: &Line) -> Option<(usize, Option<String>)> {
    match line.is_upgraded.load(Ordering::SeqCst) {
        true => frame(held),
        false => http(held, way, line),
    }
}

fn http(held: &[u8], way: Way, line: &Line) -> Option<(usize, Option<String>)> {
    let head = find(held, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let body = if field("transfer-encoding").is_some() {
        let end = b"0\r\n\r\n";
        let rest = &held[head..];
        // The last chunk is the one of no length, at the beginning of a line.
        let at = if rest.starts_with(end) { 0 } else { find(rest, b"\r\n0\r\n\r\n")? + 2 };
        at + end.len()
    } else {
        field("content-length").map_or(0, |len| len.parse().unwrap())
    };
    if held.len() < head + body {
        return None;
    }
    let first = String::from_utf8_lossy(&held[..head]);
    let mut words = first.split_whitespace();
    let (one, two) = (words.next()?, words.next()?);
    let mut asked = line.asked.lock().unwrap();
    let name = match way {
        Way::Up => {
            *asked = format!("{one} {}", two.split('?').next()?.rsplit('/').next()?);
            asked.clone()
        }
        Way::Down => {
            line.is_upgraded.fetch_or(two == "101", Ordering::SeqCst);
            format!("{two} to {asked}")
        }
    };
    Some((head + body, Some(name)))
}

/// A frame of the WebSocket; the pings have no name.
fn frame(held: &[u8]) -> Option<(usize, Option<String>)> {
    let (kind, len) = (held.first()? & 0x0f, *held.get(1)?);
    let wide = |from: usize, bytes: usize| -> Option<usize> {
        let bytes = held.get(from..from + bytes)?;
        Some(bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
    };
    let (mut from, size) = match len & 0x7f {
        126 => (4, wide(2, 2)?),
        127 => (10, wide(2, 8)?),
        len => (2, usize::from(len)),
    };
    let mask: Option<[u8; 4]> = (len & 0x80 != 0)
        .then(|| held.get(from..from + 4).map(|mask| mask.try_into().unwrap()))
        .flatten();
    if len & 0x80 != 0 {
        mask?;
        from += 4;
    }
    let payload = held.get(from..from + size)?;
    let name = (kind == 1).then(|| {
        let mask = mask.unwrap_or_default();
        let text: Vec<u8> =
            payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        let message: Value = serde_json::from_slice(&text).unwrap();
        let stage = message["context"]["sagaFrame"]["data"]["stage"].as_str();
        let kind = message["type"].as_str().unwrap();
        stage.map_or(kind.to_owned(), |stage| format!("{kind} {stage}"))
    });
    Some((from + size, name))
}

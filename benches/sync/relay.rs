//! A TCP relay on loopback: it counts what passes, and may stand for a line with a delay and a
//! width.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;

/// What a line is like.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// How long a byte takes there and back.
    pub round_trip: Duration,
    /// How many bits pass in a second, each way.
    pub bits: u64,
}

impl Line {
    /// How it is named in the table.
    pub fn name(&self) -> String {
        format!("{} ms, {} Mbit/s", self.round_trip.as_millis(), self.bits / 1_000_000)
    }
}

/// What passed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Passed {
    /// Bytes from clients to the server.
    pub up: u64,
    /// Bytes from the server to clients.
    pub down: u64,
    /// Round trips: one for each connection that was made, and one each time that a client sent
    /// something after the server had.
    pub round_trips: u64,
}

#[derive(Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
    round_trips: AtomicU64,
}

/// A relay to one server. It ends when dropped.
pub struct Relay {
    addr: SocketAddr,
    counters: Arc<Counters>,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    /// Relays to the server at `to`, host and port, as fast as it goes.
    pub fn start(to: &str) -> Result<Relay> {
        Relay::over(to, None)
    }

    /// Relays to the server at `to` over a line. Each direction has the line's width, which all
    /// connections share.
    pub fn over(to: &str, line: Option<Line>) -> Result<Relay> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let addr = listener.local_addr()?;
        let (counters, stopped) = (Arc::new(Counters::default()), Arc::default());
        let (to, count, stop) = (to.to_owned(), Arc::clone(&counters), Arc::clone(&stopped));
        let free = [Arc::default(), Arc::default()];
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if AtomicBool::load(&stop, Ordering::SeqCst) {
                    break;
                }
                // A connection that cannot be made is closed, which the client then tells.
                let _ = relay(client, &to, &count, line, &free);
            }
        });
        Ok(Relay { addr, counters, stopped })
    }

    /// Host and port of the relay.
    pub fn authority(&self) -> String {
        self.addr.to_string()
    }

    /// What passed while something runs.
    pub fn passed<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<(T, Passed)> {
        let before = self.read();
        let done = run()?;
        // What the last packets held is counted a moment after the process has ended.
        std::thread::sleep(Duration::from_millis(50));
        let after = self.read();
        let passed = Passed {
            up: after.up - before.up,
            down: after.down - before.down,
            round_trips: after.round_trips - before.round_trips,
        };
        Ok((done, passed))
    }

    fn read(&self) -> Passed {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let Counters { up, down, round_trips } = &*self.counters;
        Passed { up: read(up), down: read(down), round_trips: read(round_trips) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.addr);
    }
}

/// From when on a direction of the line is free.
type Free = Arc<Mutex<Option<Instant>>>;

fn relay(
    client: TcpStream,
    to: &str,
    counters: &Arc<Counters>,
    line: Option<Line>,
    free: &[Free; 2],
) -> std::io::Result<()> {
    let server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    counters.round_trips.fetch_add(1, Ordering::SeqCst);
    // What loopback does at once takes a round trip on a line.
    let opened = Instant::now() + line.map_or(Duration::ZERO, |line| line.round_trip);
    // The first that a client sends is a round trip too.
    let has_answered = Arc::new(AtomicBool::new(true));
    let ways = [(client.try_clone()?, server.try_clone()?, true), (server, client, false)];
    for ((from, into, is_up), free) in ways.into_iter().zip(free) {
        let (counters, has_answered) = (Arc::clone(counters), Arc::clone(&has_answered));
        let count = move |read: usize| {
            let bytes = if is_up { &counters.up } else { &counters.down };
            bytes.fetch_add(read as u64, Ordering::SeqCst);
            let turned = has_answered.swap(!is_up, Ordering::SeqCst) && is_up;
            counters.round_trips.fetch_add(u64::from(turned), Ordering::SeqCst);
        };
        let (sender, receiver) = channel();
        let free = Arc::clone(free);
        std::thread::spawn(move || take(from, &sender, &count, line.zip(Some(opened)), &free));
        std::thread::spawn(move || give(into, &receiver));
    }
    Ok(())
}

/// Takes in what one side sends, and says when it arrives at the other.
fn take(
    mut from: TcpStream,
    sender: &Sender<(Instant, Vec<u8>)>,
    count: &dyn Fn(usize),
    line: Option<(Line, Instant)>,
    free: &Mutex<Option<Instant>>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count(read);
        let mut at = Instant::now();
        if let Some((line, opened)) = line {
            let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
            let wide = Duration::from_secs_f64(read as f64 * 8.0 / line.bits as f64);
            let sent = at.max(opened).max(free.unwrap_or(at)) + wide;
            *free = Some(sent);
            drop(free);
            at = sent + line.round_trip / 2;
            // A sender does not outrun the line by more than what its buffers hold.
            std::thread::sleep(sent.saturating_duration_since(Instant::now() + BUFFERED));
        }
        if sender.send((at, buffer[..read].to_vec())).is_err() {
            break;
        }
    }
}

/// How much time's worth a sender may have on the way before it waits.
const BUFFERED: Duration = Duration::from_millis(200);

fn give(mut into: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    for (at, bytes) in receiver {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if into.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Write);
}

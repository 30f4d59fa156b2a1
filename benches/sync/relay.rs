//! Counts the bytes on the wire: a TCP relay on loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Result;

/// A relay to one server. It ends when dropped.
pub struct Relay {
    addr: SocketAddr,
    bytes: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    /// Relays to the server at `to`, host and port.
    pub fn start(to: &str) -> Result<Relay> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let addr = listener.local_addr()?;
        let (bytes, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (to, count, stop) = (to.to_owned(), Arc::clone(&bytes), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                // A connection that cannot be made is closed, which the client then tells.
                let _ = relay(client, &to, &count);
            }
        });
        Ok(Relay { addr, bytes, stopped })
    }

    /// Host and port of the relay.
    pub fn authority(&self) -> String {
        self.addr.to_string()
    }

    /// How many bytes passed, both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.addr);
    }
}

fn relay(client: TcpStream, to: &str, bytes: &Arc<AtomicU64>) -> std::io::Result<()> {
    let server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for (from, into) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let bytes = Arc::clone(bytes);
        std::thread::spawn(move || copy(from, into, &bytes));
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut into: TcpStream, bytes: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        bytes.fetch_add(read as u64, Ordering::SeqCst);
        if into.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Write);
}

//! A line to a server that counts what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What passed.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Passed {
    /// Round trips: one for each connection, and one each time that a client sends something after
    /// the server did.
    pub round_trips: u64,
    /// Bytes to the server.
    pub up: u64,
    /// Bytes to clients.
    pub down: u64,
}

/// A line; it ends with the process.
pub struct Line {
    pub url: String,
    passed: Arc<Mutex<Passed>>,
}

impl Line {
    pub fn to(server: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let passed = Arc::<Mutex<Passed>>::default();
        let shared = Arc::clone(&passed);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.lock().unwrap().round_trips += 1;
                let server = TcpStream::connect(server).unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                // Whether the server was the last to send, or nobody did.
                let is_answered = Arc::new(Mutex::new(true));
                let [to_client, to_server] = [&client, &server].map(|end| end.try_clone().unwrap());
                let (up, down) = (Arc::clone(&shared), Arc::clone(&shared));
                let answers = Arc::clone(&is_answered);
                carry(client, to_server, move |read| {
                    let mut passed = up.lock().unwrap();
                    passed.up += read;
                    let was_answered = std::mem::replace(&mut *is_answered.lock().unwrap(), false);
                    passed.round_trips += u64::from(was_answered);
                });
                carry(server, to_client, move |read| {
                    down.lock().unwrap().down += read;
                    *answers.lock().unwrap() = true;
                });
            }
        });
        Line { url, passed }
    }

    /// What passed since it was last reset.
    pub fn passed(&self) -> Passed {
        // The last bytes may be on their way still.
        let mut before = *self.passed.lock().unwrap();
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = *self.passed.lock().unwrap();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    pub fn reset(&self) {
        self.passed();
        *self.passed.lock().unwrap() = Passed::default();
    }
}

/// Carries what one end sends to the other.
fn carry(mut from: TcpStream, mut to: TcpStream, count: impl Fn(u64) + Send + 'static) {
    thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            count(read as u64);
            if to.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

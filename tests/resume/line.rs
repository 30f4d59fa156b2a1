//! A line that counts what passes, and is cut after so many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

struct State {
    target: SocketAddr,
    passed: [u64; 2],
    cut: Option<(Way, u64)>,
    at_cut: Option<Box<dyn FnOnce() + Send>>,
}

/// A line to a server; it ends with the process.
pub struct Line {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Line {
    pub fn to(target: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { target, passed: [0; 2], cut: None, at_cut: None };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = shared.lock().unwrap().target;
                let Ok(server) = TcpStream::connect(target) else { continue };
                for way in [Way::Up, Way::Down] {
                    let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || carry(ends, way, &shared));
                }
            }
        });
        Line { url, state }
    }

    /// Leads there from now on.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = target;
    }

    /// Counts anew, and cuts once so many bytes have passed this way.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        let mut state = self.state.lock().unwrap();
        (state.passed, state.cut) = ([0; 2], Some((way, bytes)));
    }

    /// Does this in place of a cut.
    pub fn then(&self, act: impl FnOnce() + Send + 'static) {
        self.state.lock().unwrap().at_cut = Some(Box::new(act));
    }

    /// Counts anew, and lets all pass.
    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        (state.passed, state.cut) = ([0; 2], None);
    }

    /// How many bytes have passed this way.
    pub fn passed(&self, way: Way) -> u64 {
        self.state.lock().unwrap().passed[way as usize]
    }
}

fn carry((client, server): (TcpStream, TcpStream), way: Way, state: &Mutex<State>) {
    let (mut from, mut to) = match way {
        Way::Up => (&client, &server),
        Way::Down => (&server, &client),
    };
    let mut chunk = vec![0; 16 << 10];
    while let Ok(read) = from.read(&mut chunk) {
        let mut at_cut = None;
        let is_cut = {
            let mut state = state.lock().unwrap();
            state.passed[way as usize] += read as u64;
            let passed = state.passed[way as usize];
            let is_cut = state.cut.is_some_and(|(of, bytes)| of == way && passed >= bytes);
            if is_cut {
                state.cut = None;
                at_cut = state.at_cut.take();
            }
            is_cut
        };
        let is_killed = at_cut.is_some();
        if let Some(act) = at_cut {
            act();
        }
        if read == 0 || is_cut && !is_killed || to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    for end in [&client, &server] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

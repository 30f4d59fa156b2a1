//! A line to a server on which one question is answered by somebody else.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is said in the place of an answer.
#[derive(Clone)]
pub enum Lie {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A body without end.
    Endless,
    /// Nothing: the line is closed.
    Close,
    /// Nothing: the line stays open.
    Silence,
}

impl Lie {
    /// An answer with this status and body.
    pub fn answer(status: &str, body: &str) -> Lie {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nsync-gib-protocols: 1\r\n\
             sync-gib-features: signing-keys, state-digest\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Lie::Bytes(head.into_bytes())
    }
}

/// A line to a server; it ends with the process.
pub struct Proxy {
    pub url: String,
    state: Arc<Mutex<(Lie, u32)>>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((Lie::Close, 0)));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(client, target, &shared));
            }
        });
        Proxy { url, state }
    }

    /// What is said from now on; how often something was said before.
    pub fn say(&self, lie: Lie) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.0 = lie;
        std::mem::take(&mut state.1)
    }
}

fn serve(mut client: TcpStream, target: SocketAddr, state: &Mutex<(Lie, u32)>) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let line = String::from_utf8_lossy(&head);
    if line.split_whitespace().nth(1).is_some_and(|path| path.ends_with("/state")) {
        let lie = {
            let mut state = state.lock().unwrap();
            state.1 += 1;
            state.0.clone()
        };
        return tell(client, lie);
    }
    let Ok(mut server) = TcpStream::connect(target) else { return };
    if server.write_all(&head).is_err() {
        return;
    }
    let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Write);
}

fn tell(mut client: TcpStream, lie: Lie) {
    match lie {
        Lie::Bytes(bytes) => {
            let _ = client.write_all(&bytes);
        }
        Lie::Endless => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"digest\":\"";
            let _ = client.write_all(head.as_bytes());
            while client.write_all(&[b'0'; 65536]).is_ok() {}
        }
        Lie::Close => {}
        Lie::Silence => {
            let _ = client.read(&mut [0; 1]);
        }
    }
}

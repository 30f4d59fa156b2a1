//! Servers that say what a test wants them to.

use std::sync::mpsc;

use futures_util::{SinkExt, StreamExt};
use sync_gib::ibgib::{IbGib, Moment};
use sync_gib::keystone;
use sync_gib::peer::wire;
use sync_gib::sync::body::Body;
use sync_gib::sync::frame::{Role, Saga};
use sync_gib::sync::msg::Msg;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

use super::LONG;

/// The state of a fake server that would be honest.
pub struct Fake {
    pub session: IbGib,
    pub saga: Saga,
    /// Turns that came so far.
    pub turns: u64,
}

impl Fake {
    /// The honest answer to hello and proof.
    pub fn auth(&self, msg: &Msg) -> Vec<Msg> {
        match msg {
            Msg::Hello { .. } => {
                let demanded_ids = keystone::pool_ids(&self.session, keystone::POOL_CONNECT);
                vec![Msg::AuthChallenge { challenge_uuid: "u".into(), demanded_ids }]
            }
            Msg::AuthProof { .. } => {
                vec![Msg::AuthOk { token: None, state_token: None, window: None }]
            }
            _ => vec![],
        }
    }

    /// Hears a text; answers what `says` says to it.
    pub fn hear(
        &mut self,
        text: &str,
        says: &mut impl FnMut(&mut Fake, Msg) -> Vec<Msg>,
    ) -> Vec<Message> {
        let msg = wire::read(text).unwrap();
        if let Msg::Request(turn) = &msg {
            self.turns += 1;
            self.saga.append(turn).unwrap();
        }
        says(self, msg).iter().map(|msg| Message::text(wire::write(msg))).collect()
    }

    /// A response that is well formed.
    pub fn respond(&mut self, body: &Body) -> Vec<Msg> {
        let turn = self.saga.make(Role::Receiver, body, Moment::now()).unwrap().into_inner();
        self.saga.append(&turn).unwrap();
        vec![Msg::Response(Box::new(turn))]
    }
}

/// Runs a server of one socket, which answers each text with `answers`, while `act` runs with its
/// URL. The socket must be closed afterwards.
pub fn serving<R: Send>(
    runtime: &Runtime,
    mut answers: impl FnMut(&str) -> Vec<Message>,
    act: impl FnOnce(&str) -> R + Send,
) -> R {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asks, asked) = mpsc::channel::<String>();
    let (answer, mut answered) = tokio::sync::mpsc::channel::<Vec<Message>>(1);
    let closed = runtime.spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(tcp).await.unwrap();
        while let Some(Ok(message)) = ws.next().await {
            let Message::Text(text) = message else { continue };
            if asks.send(text.as_str().to_owned()).is_err() {
                break;
            }
            for message in answered.recv().await.unwrap_or_default() {
                if ws.send(message).await.is_err() {
                    break;
                }
            }
        }
    });
    let acted = std::thread::scope(|scope| {
        let acting = scope.spawn(|| act(&url));
        while let Ok(text) = asked.recv() {
            if answer.blocking_send(answers(&text)).is_err() {
                break;
            }
        }
        acting.join().unwrap()
    });
    let closed = runtime.block_on(async { tokio::time::timeout(LONG, closed).await });
    closed.expect("the socket is closed").unwrap();
    acted
}

/// Answers every request with this body.
pub fn http(runtime: &Runtime, body: String) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = [0u8; 4096];
            let _ = tcp.read(&mut request).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = tcp.write_all((head + &body).as_bytes()).await;
        }
    });
    url
}

/// What follows the first bytes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// A byte now and then, without end.
    Drip,
}

/// Answers each request with the bytes that `says` gives for its path, and what follows them.
pub fn raw(
    runtime: &Runtime,
    says: impl Fn(&str) -> (String, Then) + Clone + Send + Sync + 'static,
) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let Some(path) = whole_request(&mut tcp).await else { return };
                let (answer, then) = says(&path);
                let mut taken = tcp.write_all(answer.as_bytes()).await;
                while then == Then::Drip && taken.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    taken = tcp.write_all(b" ").await;
                }
            });
        }
    });
    url
}

/// Reads a request to its end; its path.
async fn whole_request(tcp: &mut tokio::net::TcpStream) -> Option<String> {
    let mut held = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let read = tcp.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        held.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&held);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            let path = head.split(' ').nth(1)?;
            return Some(path.split('?').next()?.to_owned());
        }
    }
}

/// An answer in JSON with more headers, each line of which ends with CRLF.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Answers each request as `says` says to its path: a status, more headers, and a body. Notes the
/// heads of the requests.
pub fn naming(
    runtime: &Runtime,
    says: impl Fn(&str) -> (u16, &'static str, String) + Clone + Send + Sync + 'static,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<axum::http::request::Parts>>>) {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noting = std::sync::Arc::clone(&heard);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let (head, _) = request.into_parts();
        let (status, headers, body) = says(head.uri.path());
        noting.lock().unwrap().push(head);
        async move {
            let mut answer = axum::http::Response::builder().status(status);
            for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
                answer = answer.header(name, value);
            }
            answer.body(axum::body::Body::from(body)).unwrap()
        }
    });
    (listening(runtime, app), heard)
}

fn listening(runtime: &Runtime, app: axum::Router) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let std = listener.into_std().unwrap();
    runtime.spawn(async move {
        axum_server::from_tcp(std).unwrap().serve(app.into_make_service()).await
    });
    url
}

/// What came to a server: the path, and the body.
pub type Heard = (String, String);

/// The status of an answer that never comes.
pub const SILENCE: u16 = 0;

/// Answers each request as `says` says to its path and body: a status, and a body. It names what this
/// program speaks.
pub fn answering(
    runtime: &Runtime,
    says: impl Fn(&str, &str) -> (u16, String) + Clone + Send + Sync + 'static,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<Heard>>>) {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noting = std::sync::Arc::clone(&heard);
    let app = axum::Router::new().fallback(move |uri: axum::http::Uri, body: String| {
        noting.lock().unwrap().push((uri.path().to_owned(), body.clone()));
        let (status, body) = says(uri.path(), &body);
        async move {
            if status == SILENCE {
                std::future::pending::<()>().await;
            }
            let names = [("sync-gib-protocols", "1"), ("sync-gib-features", "signing-keys")];
            (axum::http::StatusCode::from_u16(status).unwrap(), names, body)
        }
    });
    (listening(runtime, app), heard)
}

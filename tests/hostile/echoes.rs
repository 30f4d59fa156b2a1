//! Who sends something huge that is refused: neither side repeats it, in an answer or in an error.

use futures_util::StreamExt;
use serde_json::json;
use sync_gib::cli::error::CliError;
use sync_gib::ibgib::{Addr, IbGib};
use sync_gib::peer::wire;
use sync_gib::sync::body::{Body, Delta, Want};
use sync_gib::sync::msg::Msg;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::*;
use crate::http::ask;
use crate::servers::{Victim, texts};

/// How many bytes a refusal has at most, as a message or as an answer.
const SHORT: usize = 16 << 10;

/// Bytes that grow where they are written as an escape.
fn huge(bytes: usize) -> String {
    "\u{80}".repeat(bytes / 2)
}

fn huge_addr(bytes: usize) -> Addr {
    Addr::parse(&format!("{}^{HASH}", "x".repeat(bytes))).unwrap()
}

/// A stone that relates to what is nowhere.
fn of_nothing() -> IbGib {
    let rel8ns = [("of".to_owned(), json!([huge_addr(1 << 20)]))].into_iter().collect();
    IbGib::new("stone".into(), Some(json!({ "a": 1 })), Some(rel8ns)).unwrap()
}

/// The text of the refusal that the server ends with.
fn refusal(raw: &mut Raw<'_>) -> String {
    raw.runtime.block_on(async {
        loop {
            match timeout(LONG, raw.ws.next()).await.expect("it is refused") {
                Some(Ok(Message::Text(text))) if text.contains("\"code\"") => {
                    return text.as_str().to_owned();
                }
                Some(Ok(_)) => {}
                ended => panic!("{ended:?} instead of a refusal"),
            }
        }
    })
}

fn is_short(what: &str, said: &str) {
    assert!(said.len() <= SHORT, "{what}: {} bytes are said", said.len());
}

#[test]
fn a_server_does_not_repeat_what_it_refuses() {
    let host = Host::new();
    let person = Person::new(&host, "a");

    let mut raw = Raw::open(&host);
    let hello = json!({ "type": "hello", "protocol": huge(100 << 10) });
    raw.send_raw(Message::text(hello.to_string()));
    is_short("hello", &refusal(&mut raw));

    let mut session = person.connected(&host);
    let offer = json!({ "type": "offer", "seq": huge(1 << 20), "addrs": [] });
    session.raw.send_raw(Message::text(offer.to_string()));
    is_short("an offer", &refusal(&mut session.raw));

    let mut session = person.connected(&host);
    session.state(&[]);
    let wants =
        vec![Want { tjp: huge_addr(1 << 20).into(), tip: huge_addr(1 << 20), common: None }];
    session.send_turn(&Body::Delta(Delta { wants, ..Delta::default() }));
    is_short("what is wanted", &refusal(&mut session.raw));

    let mut session = person.connected(&host);
    let stone = of_nothing();
    let commit = session.push(std::slice::from_ref(&stone));
    session.answer();
    session.send_turn(&Body::Commit(commit));
    is_short("what is missing", &refusal(&mut session.raw));
}

#[test]
fn a_server_does_not_repeat_a_body_that_it_refuses() {
    let host = Host::new();
    let person = Person::new(&host, "a");
    let evolution = wire::domain_path(wire::PATH_EVOLUTION, person.domain());
    let huge_ib = IbGib::new(huge(900 << 10), Some(json!({ "n": 1 })), None).unwrap();
    let frames = json!({ "frames": [huge_ib.to_value()], "session": huge_ib.to_value() });
    let key = format!("{{{:?}:1}}", huge(900 << 10));
    for (path, body) in [
        (wire::PATH_KEYSTONES, huge_ib.to_json()),
        (wire::PATH_KEYSTONES, key.clone()),
        (&*evolution, frames.to_string()),
        (
            &*evolution,
            json!({ "frames": [person.genesis.to_value(), huge_ib.to_value()], "session": {} })
                .to_string(),
        ),
        (&*evolution, json!({ "frames": huge(1 << 20) }).to_string()),
    ] {
        let (status, said) = ask(&host, "POST", path, None, &body);
        assert!((400..500).contains(&status), "{status}");
        is_short(path, &said);
    }
}

#[test]
fn a_client_does_not_show_what_it_refuses_whole() {
    let victim = Victim::new();
    let stone = of_nothing();
    let errors = [
        victim.sync_texts(|_, _| {
            let token = json!({ "value": "a", "expiresMs": huge(900 << 10) });
            vec![Message::text(json!({ "type": "auth_ok", "token": token }).to_string())]
        }),
        victim.sync_texts(|fake, msg| match fake.auth(&msg) {
            told if told.is_empty() => {
                let offer = json!({ "type": "offer", "seq": huge(1 << 20), "addrs": [] });
                vec![Message::text(offer.to_string())]
            }
            told => told.iter().map(|msg| Message::text(wire::write(msg))).collect(),
        }),
        victim.sync(|fake, msg| match &msg {
            Msg::Request(_) if fake.turns == 1 => {
                let mut ahead = victim.x.clone();
                ahead.extend(edit(tip_of(&ahead), json!({ "a": 3 })));
                let ahead = victim.ahead(&ahead);
                fake.respond(&Body::Ack(ahead))
            }
            Msg::Request(_) => vec![Msg::Payload { ibgibs: texts(std::slice::from_ref(&stone)) }],
            _ => fake.auth(&msg),
        }),
    ];
    for error in errors {
        let shown = CliError::from(error);
        is_short("an error", &shown.message);
    }
}

//! Sides of another version: what they say beyond this one's words is passed over or told, and
//! taken for nothing else.

use serde_json::{Value, json};
use sync_gib::cli::error::{CliError, ErrorCode};
use sync_gib::peer::{Endpoint, NoObserver, PeerError, Remote, Timeouts, client, wire};
use sync_gib::sync::{SenderOpts, SyncError};
use tokio_tungstenite::tungstenite::Message;

use crate::hostile_common::fake::answering;
use crate::hostile_common::*;
use crate::servers::Victim;

fn sync_with(person: &Person, url: &str) -> PeerError {
    let runtime = runtime();
    let endpoint = Endpoint::new(url, None, false).unwrap();
    let link = Remote::new(&runtime, endpoint, Timeouts::default()).unwrap();
    let opts = SenderOpts::new(person.dir.path().to_owned());
    client::sync(&person.space, &link, &person.identity, &opts, &mut NoObserver).unwrap_err()
}

/// The code and the text of a refusal of the other side's.
fn refused(error: &PeerError) -> (String, String) {
    match error {
        PeerError::Sync(SyncError::Refused(refusal)) => {
            let code = serde_json::to_value(refusal.code).unwrap();
            (code.as_str().unwrap().to_owned(), refusal.message.clone())
        }
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[test]
fn a_code_that_is_not_known_is_kept_and_told_whatever_the_status() {
    for status in [400, 401, 403, 404, 409, 413, 418, 429, 500, 507] {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let (url, _) = answering(&runtime, move |path, _| match path.ends_with("/identity") {
            true => (200, String::new()),
            false => {
                let error =
                    json!({ "code": "moved-house", "message": "it lives elsewhere", "to": 1 });
                (status, json!({ "error": error, "more": [1] }).to_string())
            }
        });
        let error = sync_with(&person, &url);
        let told = ("moved-house".to_owned(), "it lives elsewhere".to_owned());
        assert_eq!(refused(&error), told, "{status}");
        let error = CliError::from(error);
        assert_eq!((error.code, error.exit), (ErrorCode::Refused, 1), "{status}");
        assert_eq!(error.message, "it lives elsewhere");
        assert_eq!(error.details.unwrap().get("refusal"), Some(&Value::from("moved-house")));
    }
}

#[test]
fn a_code_that_is_not_known_ends_a_session_with_its_text() {
    let victim = Victim::new();
    let text = |name: &str| {
        json!({ "type": name, "code": "moved-house", "message": "it lives elsewhere", "to": 1 })
            .to_string()
    };
    let before_the_proof = victim.sync_texts(|_, _| vec![Message::text(text("auth_fail"))]);
    let after_it = victim.sync_texts(|fake, msg| match fake.auth(&msg) {
        told if told.is_empty() => vec![Message::text(text("sync_error"))],
        told => told.iter().map(|msg| Message::text(wire::write(msg))).collect(),
    });
    for error in [before_the_proof, after_it] {
        let told = ("moved-house".to_owned(), "it lives elsewhere".to_owned());
        assert_eq!(refused(&error), told);
        assert_eq!(CliError::from(error).exit, 1);
    }
}

#[test]
fn what_is_no_code_at_all_is_no_refusal_of_such_a_server() {
    for code in [json!(404), json!("Access Denied"), json!(""), json!("x".repeat(33)), Value::Null]
    {
        let person = Person::unregistered("a");
        let runtime = runtime();
        let body = json!({ "error": { "code": code, "message": "no" } }).to_string();
        let (url, _) = answering(&runtime, move |_, _| (403, body.clone()));
        let error = sync_with(&person, &url);
        assert!(matches!(error, PeerError::UnexpectedResponse { .. }), "{error:?}");
    }
}

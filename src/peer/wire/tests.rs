//! What is written is read back, and what is foreign is refused.

use super::*;

const HASH: &str = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";

fn round(msg: &Msg) -> String {
    let text = write(msg);
    let back = write(&read(&text).unwrap());
    assert_eq!(text, back);
    text
}

#[test]
fn messages_read_back() {
    let addr = Addr::parse(&format!("keystone^{HASH}")).unwrap();
    let ibgib = IbGib::new("ib".into(), Some(json!({"z": 1, "a": [1.5]})), None).unwrap();
    let context = Context {
        context: ibgib.clone(),
        saga_frame: ibgib.clone(),
        saga_frame_msg: ibgib.clone(),
        signed_session_identity: Some(ibgib.clone()),
    };
    let refusal = Refusal { code: RefusalCode::Conflict, message: "m".into() };
    let quota = Refusal { code: RefusalCode::Quota, message: "m".into() };
    let token = Some(Token { value: "v".into(), expires_ms: 5 });
    for msg in [
        Msg::Hello { protocol: 1, domain: addr.clone(), session: addr.clone() },
        Msg::AuthChallenge { challenge_uuid: "u".into(), demanded_ids: vec!["i".into()] },
        Msg::AuthProof { keystone: ibgib.clone() },
        Msg::AuthOk { token },
        Msg::AuthOk { token: None },
        Msg::AuthFail(refusal.clone()),
        Msg::SyncError(refusal),
        Msg::SyncError(quota),
        Msg::Request(Box::new(context.clone())),
        Msg::Response(Box::new(context)),
        Msg::Offer { seq: 3, addrs: vec![addr] },
        Msg::Need { seq: 3, lacks: vec![true, false] },
        Msg::Payload { ibgibs: vec![ibgib.to_json().into(), ibgib.to_json().into()] },
    ] {
        let text = round(&msg);
        assert!(text.starts_with(&format!("{{\"type\":\"{}\"", msg.name())));
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let many = format!(r#"{{"type":"payload","ibGibs":[{}0]}}"#, "0,".repeat(MAX_BATCH));
    let long_need = format!(r#"{{"type":"need","seq":1,"lacks":"{}"}}"#, "1".repeat(5000));
    for text in [
        "",
        "[]",
        "{}",
        r#"{"type":"other"}"#,
        r#"{"type":"hello","protocol":-1}"#,
        r#"{"type":"payload","ibGibs":[1,}"#,
        r#"{"type":"payload","ibGibs":[]}"#,
        &many,
        r#"{"type":"need","seq":1,"lacks":"12"}"#,
        &long_need,
        r#"{"type":"offer","seq":1,"addrs":["nocaret"]}"#,
        r#"{"type":"sync_frame_request","context":{"ib":"x"}}"#,
    ] {
        assert!(read(text).is_err(), "{}", &text[..text.len().min(60)]);
    }
}

#[test]
fn a_named_limit_stands_beside_a_general_code() {
    for (code, general, limit) in [
        (RefusalCode::Quota, "limit", "quota"),
        (RefusalCode::File, "limit", "file"),
        (RefusalCode::Identities, "limit", "identities"),
        (RefusalCode::Staged, "busy", "staged"),
    ] {
        let text = write(&Msg::SyncError(Refusal { code, message: "m".into() }));
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&said["code"], &said["limit"]), (&json!(general), &json!(limit)));
        let Msg::SyncError(back) = read(&text).unwrap() else { panic!("no refusal") };
        assert_eq!(back.code, code);
        let body = serde_json::to_string(&ErrorDetail::of(code, "m".into())).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["code"], general);
        assert_eq!(serde_json::from_str::<ErrorDetail>(&body).unwrap().exact_code(), code);
    }
    let unknown = r#"{"type":"sync_error","code":"limit","message":"m","limit":"new"}"#;
    let Msg::SyncError(refusal) = read(unknown).unwrap() else { panic!("no refusal") };
    assert_eq!(refusal.code, RefusalCode::Limit);
}

#[test]
fn a_code_of_a_later_version_counts_as_protocol() {
    for (code, read_as) in [("timeout", RefusalCode::Timeout), ("later", RefusalCode::Protocol)] {
        let text = format!(r#"{{"type":"sync_error","code":"{code}","message":"m"}}"#);
        let Msg::SyncError(refusal) = read(&text).unwrap() else { panic!("no refusal") };
        assert_eq!(refusal.code, read_as);
    }
}

#[test]
fn a_refusal_is_fit_for_a_terminal() {
    let text = r#"{"type":"sync_error","code":"content","message":"a\u001b[31mb\n\u202ec"}"#;
    let Msg::SyncError(refusal) = read(text).unwrap() else { panic!("no refusal") };
    assert_eq!(refusal.message, "a [31mb  c");
}

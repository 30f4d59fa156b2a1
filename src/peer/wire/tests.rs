//! What is written is read back, and what is foreign is refused.

use super::*;
use crate::ibgib::Addr;
use crate::sync::msg::Token;

const HASH: &str = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";

fn round(msg: &Msg) -> String {
    let text = write(msg);
    let back = write(&read(&text).unwrap());
    assert_eq!(text, back);
    text
}

fn hello(names: &[&str]) -> Msg {
    let addr = Addr::parse(&format!("keystone^{HASH}")).unwrap();
    let features = names.iter().map(|name| Feature::new(name).unwrap()).collect();
    Msg::Hello { protocol: 1, domain: addr.clone().into(), session: addr.into(), features }
}

#[test]
fn a_hello_without_features_is_that_of_protocol_1() {
    let text = write(&hello(&[]));
    let said: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(said.keys().collect::<Vec<_>>(), ["type", "protocol", "domain", "session"]);
    let many = (0..=MAX_FEATURES).map(|n| json!(format!("f{n}"))).collect::<Vec<_>>();
    for features in [json!("a"), json!(["A"]), json!([1]), json!({}), json!(many)] {
        let mut said = said.clone();
        said.insert("features".into(), features);
        assert!(read(&serde_json::to_string(&said).unwrap()).is_err());
    }
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
        hello(&[]),
        hello(&["a", "zstd"]),
        Msg::AuthChallenge { challenge_uuid: "u".into(), demanded_ids: vec!["i".into()] },
        Msg::AuthProof { keystone: ibgib.clone() },
        Msg::AuthOk { token: token.clone(), state_token: None, window: Some(23) },
        Msg::AuthOk { token: None, state_token: token, window: None },
        Msg::AuthOk { token: None, state_token: None, window: None },
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

/// The refusal that has this as its code, in a message and in the body of an answer.
fn refused_with(code: &str) -> Result<RefusalCode, SyncError> {
    let text = format!(r#"{{"type":"sync_error","code":{code},"message":"m","new":[1]}}"#);
    let Msg::SyncError(refusal) = read(&text)? else { panic!("no refusal") };
    let written = round(&Msg::SyncError(refusal.clone()));
    let Msg::SyncError(again) = read(&written)? else { panic!("no refusal") };
    assert_eq!(again, refusal);
    Ok(refusal.code)
}

#[test]
fn a_code_of_a_later_version_is_kept() {
    assert_eq!(refused_with(r#""timeout""#).unwrap(), RefusalCode::Timeout);
    let longest = "z".repeat(32);
    for code in ["later", "a-1_b", &longest] {
        let quoted = format!("{code:?}");
        let RefusalCode::Other(other) = refused_with(&quoted).unwrap() else { panic!("{code}") };
        assert_eq!(other.as_str(), code);
        let detail = format!(r#"{{"code":{quoted},"message":"m","limit":"new"}}"#);
        let detail: ErrorDetail = serde_json::from_str(&detail).unwrap();
        assert_eq!(detail.exact_code(), RefusalCode::Other(other));
        assert_eq!(serde_json::to_value(detail.code).unwrap(), code);
    }
}

#[test]
fn what_is_no_code_counts_as_protocol_in_a_message_and_as_no_refusal_in_an_answer() {
    let long = format!("{:?}", "z".repeat(33));
    for code in ["null", "1", "{}", r#""""#, r#""Later""#, r#""a b""#, r#""ä""#, &long] {
        assert_eq!(refused_with(code).unwrap(), RefusalCode::Protocol, "{code}");
        let detail = format!(r#"{{"code":{code},"message":"m"}}"#);
        assert!(serde_json::from_str::<ErrorDetail>(&detail).is_err(), "{code}");
    }
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let hello = format!(
        r#"{{"type":"hello","protocol":1,"new":{{}},"domain":"a^{HASH}","session":"b^{HASH}"}}"#
    );
    let payload = r#"{"new":[{}],"type":"payload","ibGibs":[{"ib":"x","gib":"gib"}],"more":1}"#;
    let ok = r#"{"type":"auth_ok","token":{"value":"v","expiresMs":5,"new":1},"more":1}"#;
    let part = r#"{"ib":"x","gib":"gib"}"#;
    let turn = format!(
        r#"{{"type":"sync_frame_response","more":1,"context":{{"ib":"x","gib":"gib","new":{{}},
        "sagaFrame":{part},"sagaFrameMsg":{part}}}}}"#
    );
    for text in [hello.as_str(), payload, ok, &turn] {
        let written = round(&read(text).unwrap());
        assert!(!written.contains("new") && !written.contains("more"), "{written}");
    }
    let latest = format!(r#"{{"tjp":"a^{HASH}","tip":"a^{HASH}","n":1,"new":null}}"#);
    assert_eq!(serde_json::from_str::<Latest>(&latest).unwrap().n, 1);
    let body = format!(r#"{{"new":1,"frames":[{part}],"session":{part}}}"#);
    assert_eq!(read_evolution(&body).unwrap().0.len(), 1);
    assert_eq!(read_revocation(&body).unwrap().len(), 1);
}

#[test]
fn a_refusal_is_fit_for_a_terminal() {
    let text = r#"{"type":"sync_error","code":"content","message":"a\u001b[31mb\n\u202ec"}"#;
    let Msg::SyncError(refusal) = read(text).unwrap() else { panic!("no refusal") };
    assert_eq!(refusal.message, "a [31mb  c");
}

#[cfg(feature = "server")]
#[test]
fn many_small_values_weigh_more_than_their_bytes_but_for_ibgibs_that_are_read_one_by_one() {
    let dense = "{\"\":0},".repeat(10_000);
    let data = format!("{{\"ib\":\"a\",\"data\":[{dense}0]}}");
    let many = vec!["{\"ib\":\"a\"}".into(); 1000];
    for (text, is_more) in [
        (format!("{{\"type\":\"offer\",\"addrs\":[{dense}0]}}"), true),
        (write_payload(&[data.clone().into()]), true),
        (write_payload(&[data.clone().into()]).replace(":[{", ": [{"), true),
        (write_payload(&many), false),
        (format!("{{\"type\":\"hello\",\"x\":\"{}\"}}", "a".repeat(1000)), false),
    ] {
        let weight = weight(&text);
        assert_eq!(weight > text.len(), is_more, "{weight} of {}", text.len());
    }
}

#[test]
fn a_message_holds_so_many_values() {
    let zeros = |count: usize| "0,".repeat(count);
    let hello = |x: &str| format!("{{\"type\":\"hello\",\"x\":{x}}}");
    for text in [
        hello(&format!("[{}0]", zeros(1 << 18))),
        hello(&format!("\"\\\"\",\"y\":[{}0]", zeros(1 << 18))),
    ] {
        assert!(matches!(read(&text), Err(SyncError::Limit(_))), "{:?}", read(&text));
    }
    // In a string they are none.
    for text in
        [hello(&format!("\"\\\"{}\"", zeros(1 << 18))), hello(&format!("[{}0]", zeros(1 << 17)))]
    {
        assert!(matches!(read(&text), Err(SyncError::Protocol(_))), "{:?}", read(&text));
    }
}

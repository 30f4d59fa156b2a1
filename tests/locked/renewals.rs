//! Renewals as they are posted by those who have no secret, or an old one.

use sync_gib::ibgib::{System, TjpAddr};
use sync_gib::keystone;
use sync_gib::peer::{PeerError, ReceiverLink, client};
use sync_gib::server::Registration;
use sync_gib::space::{Pending, Purpose, Space, SpaceError, SpaceExt, SqliteSpace};
use sync_gib::sync::msg::RefusalCode;
use sync_gib::sync::{Quota, SyncError, domain};

use crate::hostile_common::*;
use crate::people::*;

#[test]
fn nobody_ends_sessions_by_frames_that_everybody_may_read() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let mut session = ann.connected(&host);
    let token = session.token.clone().unwrap().value;
    // A genesis changes no secret.
    refusal(host.link().renew(ann.domain(), &[&ann.genesis]), RefusalCode::Auth);
    session.state(&[]);
    let rotated = rotation(&newest(&host, &ann), "a", "b");
    host.link().renew(ann.domain(), &[&rotated]).unwrap();
    assert!(host.link().latest(ann.domain(), ann.domain(), &token).is_err());

    let ann = device(&ann, "b");
    let mut session = ann.connected(&host);
    let token = session.token.clone().unwrap().value;
    let waiting = made_on(&newest(&host, &ann), &ann, "b");
    host.link().evolve(ann.domain(), &[&waiting.identity], &waiting.session).unwrap();
    let held = host.held(ann.domain());
    for frames in [&[&rotated][..], &[&ann.genesis, &rotated]] {
        host.link().renew(ann.domain(), frames).unwrap();
    }
    assert_eq!(host.held(ann.domain()), held);
    session.state(&[]);
    host.link().latest(ann.domain(), ann.domain(), &token).unwrap();
    Raw::open(&host).hello(ann.domain(), waiting.signer.tjp());
}

#[test]
fn a_session_that_the_old_secret_claimed_does_not_come_after_the_new_one() {
    let host = Host::new();
    let (ann, code) = locked(&host, "a");
    // A frame of the old secret that came without its session, as those do that a server lacks
    // which was restored from a backup.
    let stolen = made_on(&ann.genesis, &ann, "a");
    let (recovered, _) = recovery(&stolen.identity, &code, "b");
    host.link().renew(ann.domain(), &[&stolen.identity, &recovered]).unwrap();
    let held = host.held(ann.domain());
    for frames in [
        &[&stolen.identity][..],
        &[&ann.genesis, &stolen.identity],
        &[&recovered, &stolen.identity],
    ] {
        let ended = host.link().evolve(ann.domain(), frames, &stolen.session);
        refusal(ended, RefusalCode::Conflict);
    }
    assert_eq!(host.held(ann.domain()), held);
    let ann = device(&ann, "b");
    ann.connected(&host).state(&[]);
}

#[test]
fn no_frame_comes_before_the_one_that_claims_a_session() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let stolen = made_on(&ann.genesis, &ann, "a");
    let rotated = rotation(&stolen.identity, "a", "b");
    host.link().renew(ann.domain(), &[&stolen.identity, &rotated]).unwrap();
    let after = rotation(&rotated, "b", "c");
    let ended = host.link().evolve(ann.domain(), &[&after, &stolen.identity], &stolen.session);
    refusal(ended, RefusalCode::Conflict);
}

#[test]
fn an_identity_is_recovered_however_full_the_server_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let code = code();
    let genesis = locked_genesis("a", &pools(), Some(&code));
    let domain = TjpAddr::from(genesis.addr().unwrap());
    let space = SqliteSpace::create_if_missing(&path, &domain).unwrap();
    domain::register(&space, &genesis, &Quota::default()).unwrap();
    let full = Quota { identity: Some(1), file: Some(1), reserve: 0 };
    let is_full = |ended: Result<bool, SyncError>| {
        let full = |error: &SpaceError| {
            matches!(error, SpaceError::FileBound { .. } | SpaceError::OverQuota { .. })
        };
        matches!(ended, Err(SyncError::Space(error)) if full(&error))
    };
    let rotated = rotation(&genesis, "a", "thief");
    assert!(is_full(domain::renew(&space, &domain, std::slice::from_ref(&rotated), &full)));
    domain::renew(&space, &domain, std::slice::from_ref(&rotated), &Quota::default()).unwrap();
    // Whoever stole the secret has no code: the first use of it is the owner's.
    let (recovered, next) = recovery(&rotated, &code, "b");
    assert!(domain::renew(&space, &domain, std::slice::from_ref(&recovered), &full).unwrap());
    // Nor is it a way to fill the disk with one's own.
    let (again, _) = recovery(&recovered, &next, "c");
    assert!(is_full(domain::renew(&space, &domain, std::slice::from_ref(&again), &full)));
    let quota = Quota { reserve: 1 << 20, ..full };
    domain::renew(&space, &domain, std::slice::from_ref(&again), &quota).unwrap();
}

#[test]
fn who_is_not_on_the_list_renews_nothing() {
    let code = code();
    let genesis = locked_genesis("a", &pools(), Some(&code));
    let host = Host::with(|opts| {
        let domain = TjpAddr::from(genesis.addr().unwrap());
        let space = SqliteSpace::create_if_missing(&opts.space, &domain).unwrap();
        domain::register(&space, &genesis, &Quota::default()).unwrap();
        opts.registration = Registration::Closed(Default::default());
    });
    let ann = Person::with(genesis, "a");
    let rotated = rotation(&ann.genesis, "a", "b");
    refusal(host.link().renew(ann.domain(), &[&rotated]), RefusalCode::Auth);
    assert_eq!(newest(&host, &ann), ann.genesis);
}

#[test]
fn a_socket_that_ends_with_its_secret_is_told_so() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let mut session = ann.connected(&host);
    let rotated = rotation(&newest(&host, &ann), "a", "b");
    host.link().renew(ann.domain(), &[&rotated]).unwrap();
    let refusal = session.raw.sync_error(RefusalCode::Auth);
    assert!(refusal.message.contains("the secret of"), "{}", refusal.message);
    assert!(!refusal.message.contains("revoked"), "{}", refusal.message);
    let mut other = device(&ann, "b").connected(&host);
    let end = keystone::revoke(&newest(&host, &ann), &secret_of("b"), "", &System::new()).unwrap();
    host.link().revoke(ann.domain(), &[&end]).unwrap();
    let refusal = other.raw.sync_error(RefusalCode::Auth);
    assert!(refusal.message.contains("revoked"), "{}", refusal.message);
}

#[test]
fn a_rotation_that_was_signed_before_keeps_nobody_from_recovering() {
    let host = Host::new();
    let (ann, code) = locked(&host, "a");
    // Killed before it was sent, or left there by whoever had the device.
    let evolved = rotation(&ann.genesis, "a", "thief");
    let on = ann.genesis.addr().unwrap();
    let pending = Pending { on, evolved, session: None, is_shared: false };
    ann.space.keep_pending(ann.domain(), Purpose::Renewal, &pending).unwrap();
    let (new, next) = (secret_of("b"), self::code());
    let (link, env) = (host.link(), std::sync::Arc::new(System::new()));
    let to = renewed_to(&new);
    let made = client::recover(&ann.space, &link, ann.domain(), [&code, &next], &to, env).unwrap();
    assert!(keystone::knows(&new, &made) && !keystone::knows(&secret_of("thief"), &made));
    assert_eq!(newest(&host, &ann), made);
    device(&ann, "b").connected(&host).state(&[]);
}

#[test]
fn hostile_locks_are_refused_and_break_nothing() {
    let host = Host::new();
    let (ann, _) = locked(&host, "a");
    let good = rotation(&ann.genesis, "a", "b");
    let text = good.to_json();
    let lock = text.find("\"lock\":{").unwrap() + "\"lock\":{".len();
    let since = text[lock..].find("\"since\":1").unwrap() + lock;
    let with = |since_is: &str| {
        format!("{}\"since\":{since_is}{}", &text[..since], &text[since + "\"since\":1".len()..])
    };
    let post = |frame: &str| {
        let path = wire_path(&ann);
        ask(&host, &path, &format!("{{\"frames\":[{frame}]}}"))
    };
    for huge in
        ["9007199254740991", "18446744073709551615", "1e300", "-1", "1.5", "\"1\"", "null", "[]"]
    {
        assert_eq!(post(&with(huge)).0 / 100, 4, "{huge}");
    }
    let deep = format!("{}{}", "[".repeat(90), "]".repeat(90));
    for more in [
        "\"since\":0,".to_owned(),
        "\"key\":\"x\",".to_owned(),
        "\"signature\":\"\",".to_owned(),
        format!("\"other\":{deep},"),
        format!("\"recovery\":{deep},"),
        "\"__proto__\":{},".to_owned(),
    ] {
        // The last of equal keys counts: put behind, each is another lock.
        let end = text[lock..].find('}').unwrap() + lock;
        let frame = format!("{},{}{}", &text[..end], more.trim_end_matches(','), &text[end..]);
        assert_eq!(post(&frame).0 / 100, 4, "{more}");
    }
    assert_eq!(newest(&host, &ann), ann.genesis);
    // Written otherwise, it is the same frame.
    let (status, body) = post(&with("1.0").replacen("\"lock\":{", "\"lock\":{\"since\":7,", 1));
    assert_eq!(status, 200, "{body}");
    assert_eq!(newest(&host, &ann), good);
}

#[test]
fn a_stranger_renews_nothing() {
    let host = Host::new();
    let (ann, code) = locked(&host, "a");
    let (eve, eves) = locked(&host, "e");
    let held = host.held(ann.domain());
    let post = |frame: &_| {
        let ended = host.link().renew(ann.domain(), &[frame]);
        let Err(PeerError::Sync(SyncError::Refused(refused))) = ended else { panic!("{ended:?}") };
        assert!([RefusalCode::Auth, RefusalCode::Content].contains(&refused.code), "{refused:?}");
    };
    // Another identity's, and those whose secret, code or code's key is another.
    post(&rotation(&eve.genesis, "e", "f"));
    post(&recovery(&eve.genesis, &eves, "f").0);
    let (good, _) = recovery(&ann.genesis, &code, "b");
    let rotated = rotation(&ann.genesis, "a", "b");
    for (one, other) in [(&good, &rotated), (&rotated, &good)] {
        // The proof of one with the lock of the other, either way.
        let mixed = changed(one, |data| data["proofs"] = other.datum("proofs").unwrap().clone());
        post(&mixed);
        let lock = other.datum("frameDetails").unwrap().clone();
        post(&changed(one, |data| data["frameDetails"] = lock));
    }
    post(&made_on(&ann.genesis, &ann, "a").identity);
    assert_eq!(host.held(ann.domain()), held);
    ann.space.put_all(std::slice::from_ref(&good)).unwrap();
    host.link().renew(ann.domain(), &[&good]).unwrap();
}

fn wire_path(of: &Person) -> String {
    sync_gib::peer::wire::domain_path(sync_gib::peer::wire::PATH_RENEWAL, of.domain())
}

/// The status and the body of the answer to a post.
fn ask(host: &Host, path: &str, body: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut tcp = std::net::TcpStream::connect(host.server.addr()).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

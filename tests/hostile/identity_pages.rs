//! An identity's frames as everybody may read them: page by page, from where the reader says.

use serde_json::Value;
use sync_gib::ibgib::{Addr, IbGib, System};
use sync_gib::keystone::{self, Behavior, Claim, Signing, VERB_SYNC, presets};
use sync_gib::peer::{ReceiverLink, client, wire};
use sync_gib::space::{Space, SpaceExt};

use crate::hostile_common::*;
use crate::http::ask;

/// How many frames a page holds.
const PAGE: usize = 1000;

/// A person whose steps are small, and so many frames of their identity.
fn with_frames(count: usize) -> (Person, Vec<IbGib>) {
    let mut pools = presets::identity_pools(&System::new()).unwrap();
    for pool in &mut pools {
        pool.behavior = Behavior {
            size: 2,
            select_sequentially: 1,
            select_randomly: 0,
            target_binding_chars: 0,
            ..pool.behavior
        };
    }
    let genesis = keystone::genesis(&secret_of("a"), &pools, None, &System::new()).unwrap();
    let person = Person::with(genesis.clone(), "a");
    let mut all = vec![genesis];
    while all.len() < count {
        let claim = Claim::new(VERB_SYNC, all.last().unwrap().addr().unwrap().as_str());
        let now = System::new();
        let signing =
            Signing { claim: &claim, pool_id: None, required: &[], frame_details: None, env: &now };
        all.push(keystone::sign(all.last().unwrap(), &secret_of("a"), &signing).unwrap());
    }
    (person, all)
}

/// The status, and the address of each line.
fn page(host: &Host, person: &Person, query: &str) -> (u16, Vec<Addr>) {
    let path = wire::domain_path(wire::PATH_IDENTITY, person.domain());
    let path = format!("{path}{}", query.replace('^', "%5E"));
    let (status, body) = ask(host, "GET", &path, None, "");
    if status != 200 {
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["error"]["code"].is_string(), "{body}");
        return (status, Vec::new());
    }
    let joined = unchunked(&body);
    assert!(joined.is_empty() || joined.ends_with('\n'), "every line is ended");
    let read = |line: &str| IbGib::from_json(line).unwrap().validate().unwrap();
    (status, joined.lines().map(read).collect())
}

/// A body without the lengths of its chunks, where it has such.
fn unchunked(body: &str) -> String {
    let (mut left, mut joined) = (body, String::new());
    if body.is_empty() || body.starts_with('{') {
        return body.to_owned();
    }
    loop {
        let (length, rest) = left.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return joined;
        }
        joined += &rest[..length];
        left = rest[length..].strip_prefix("\r\n").unwrap();
    }
}

#[test]
fn an_identity_is_read_page_by_page_from_where_the_reader_says() {
    let host = Host::new();
    let (person, frames) = with_frames(PAGE + 3);
    host.space(person.domain()).put_all(&frames).unwrap();
    let addrs: Vec<Addr> = frames.iter().map(|frame| frame.addr().unwrap()).collect();

    let first = page(&host, &person, "");
    assert_eq!((first.0, first.1.len()), (200, PAGE));
    assert_eq!(first.1, addrs[..PAGE]);
    let after = |addr: &Addr| page(&host, &person, &format!("?after={addr}"));
    assert_eq!(
        after(&addrs[0]),
        (200, addrs[1..=PAGE].to_vec()),
        "a whole page from the second on"
    );
    assert_eq!(
        after(&addrs[PAGE - 1]),
        (200, addrs[PAGE..].to_vec()),
        "what follows the first page"
    );
    assert_eq!(after(&addrs[PAGE + 1]), (200, addrs[PAGE + 2..].to_vec()), "the last one");
    assert_eq!(after(&addrs[PAGE + 2]), (200, vec![]), "nothing after it");

    // What is not a frame of it is not known, whatever else it is.
    let stranger = Person::new(&host, "b");
    let stone = IbGib::new("s".into(), Some(1.into()), None).unwrap();
    host.space(person.domain()).put_all(std::slice::from_ref(&stone)).unwrap();
    let unknown = Addr::parse(&format!("keystone^{HASH}")).unwrap();
    for other in [stranger.domain(), &stone.addr().unwrap(), &unknown] {
        assert_eq!(after(other), (200, addrs[..PAGE].to_vec()), "{other}");
    }
    for query in ["?after=", "?after=x", "?after=x%5E", "?after=%5Egib"] {
        assert_eq!(page(&host, &person, query).0, 400, "{query}");
    }
    // No other page is to be had, be it longer.
    for query in ["?limit=5000", "?limit=1", "?before=x"] {
        assert_eq!(page(&host, &person, query), (200, addrs[..PAGE].to_vec()), "{query}");
    }
    assert_eq!(page(&host, &Person::unregistered("c"), "").0, 404);

    // The client reads all of them.
    let reader = Person::with(person.genesis.clone(), "a");
    client::catch_up(&reader.space, &host.link(), reader.domain()).unwrap();
    assert_eq!(reader.space.tip(reader.domain()).unwrap().unwrap().addr, addrs[PAGE + 2]);
    let mut seen = 0;
    let mut each = |_| {
        seen += 1;
        Ok(std::ops::ControlFlow::Continue(()))
    };
    host.link().identity(reader.domain(), Some(&addrs[1]), &mut each).unwrap();
    assert_eq!(seen, PAGE);
}

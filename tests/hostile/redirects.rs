//! Servers that send a client elsewhere: it does not go there, whatever it was about to say.

use sync_gib::ibgib::{IbGib, System};
use sync_gib::peer::{Endpoint, NoObserver, PeerError, ReceiverLink, Remote, Timeouts};
use sync_gib::sync::{Sender, SenderOpts, establish};

use crate::hostile_common::fake::{self, Then};
use crate::hostile_common::*;

const ELSEWHERE: [u16; 6] = [300, 301, 302, 303, 307, 308];

fn link<'r>(runtime: &'r tokio::runtime::Runtime, url: &str) -> Remote<'r> {
    let endpoint = Endpoint::new(url, None, false).unwrap();
    Remote::new(runtime, endpoint, Timeouts::default()).unwrap()
}

/// Does all that a client does over HTTP, and opens a socket; what came of each.
fn all_that_is_asked(person: &Person, link: &Remote<'_>) -> Vec<(&'static str, PeerError)> {
    let (domain, space) = (person.domain(), &person.space);
    let made = establish(domain, &person.genesis, &secret_of("a"), &System::new()).unwrap();
    let end = sync_gib::keystone::revoke(&person.genesis, &secret_of("a"), "gone", &System::new());
    let (genesis, end) = (&person.genesis, end.unwrap());
    let opts = SenderOpts::new(person.dir.path().to_owned());
    let mut sender = Sender::new(space, domain.clone(), made.saga_id, made.signer, opts).unwrap();
    let mut line = |_: &str| Ok(());
    let mut frame = |_: IbGib| Ok(std::ops::ControlFlow::Continue(()));
    vec![
        ("registers", link.register(genesis).unwrap_err()),
        ("evolves", link.evolve(domain, &[&made.identity], &made.session).unwrap_err()),
        ("revokes", link.revoke(domain, &[&end]).unwrap_err()),
        ("reads I", link.identity(domain, None, &mut frame).unwrap_err()),
        ("reads a tip", link.latest(domain, domain, "t0ken").unwrap_err()),
        ("reads an ibGib", link.ibgib(domain, domain, "t0ken").unwrap_err()),
        ("reads a graph", link.graph(domain, domain, true, "t0ken", &mut line).unwrap_err()),
        ("opens a socket", link.run_session(&mut sender, &mut NoObserver).unwrap_err()),
    ]
}

#[test]
fn a_client_follows_no_redirect() {
    let runtime = runtime();
    let person = Person::unregistered("a");
    let (elsewhere, heard) = fake::answering(&runtime, |_, _| (200, "{}".into()));
    for status in ELSEWHERE {
        let to = elsewhere.clone();
        let url = fake::raw(&runtime, move |path| {
            let location = format!("location: {to}{path}\r\n");
            (fake::answer(status, &location, "{}"), Then::Close)
        });
        for (what, error) in all_that_is_asked(&person, &link(&runtime, &url)) {
            assert!(!matches!(error, PeerError::Sync(_)), "{status}, it {what}: {error:?}");
            assert!(
                error.to_string().contains(&status.to_string()),
                "{status}, it {what}: {error}"
            );
        }
    }
    let heard = heard.lock().unwrap();
    assert!(heard.is_empty(), "what was sent elsewhere: {heard:?}");
}

#[test]
fn a_client_follows_no_redirect_on_the_same_server() {
    let runtime = runtime();
    let person = Person::unregistered("a");
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noting = std::sync::Arc::clone(&asked);
    let url = fake::raw(&runtime, move |path| {
        noting.lock().unwrap().push(path.to_owned());
        (fake::answer(307, "location: /elsewhere\r\n", "{}"), Then::Close)
    });
    let all = all_that_is_asked(&person, &link(&runtime, &url));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), all.len(), "{asked:?}");
    assert!(!asked.iter().any(|path| path == "/elsewhere"), "{asked:?}");
}

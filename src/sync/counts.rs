//! How often a receiver hashes and validates what arrives: each ibGib once, each keystone's frame
//! once. A number that grows here is work that every server does for every client.

use super::*;
use crate::ibgib::gib::counted::hashes;
use crate::ibgib::{IbGib, System, TjpAddr};
use crate::keystone::{self, MasterSecret, presets, validate::counted::validations};
use crate::space::{MemorySpace, SpaceExt};
use crate::sync::msg::Msg;
use crate::sync::session::Signer;

/// Hashes and validations.
type Counts = (u64, u64);

fn counted<T>(f: impl FnOnce() -> T) -> (T, Counts) {
    let before = (hashes(), validations());
    let done = f();
    (done, (hashes() - before.0, validations() - before.1))
}

/// A receiver, and what it did for each message.
struct Counting<'a>(Receiver<'a>, Vec<(&'static str, Counts)>);

impl Machine for Counting<'_> {
    fn handle(&mut self, msg: Msg) -> Result<(), SyncError> {
        let name = msg.name();
        let (handled, counts) = counted(|| self.0.handle(msg));
        self.1.push((name, counts));
        handled
    }

    fn next(&mut self) -> Result<Option<Msg>, SyncError> {
        let (msg, (hashes, validations)) = counted(|| self.0.next());
        if hashes + validations > 0 {
            self.1.push(("next", (hashes, validations)));
        }
        msg
    }

    fn is_done(&self) -> bool {
        self.0.is_done()
    }
}

#[test]
fn what_arrives_is_hashed_and_validated_once() {
    let (here, there, env) = (MemorySpace::new(), MemorySpace::new(), System::new());
    let dir = tempfile::tempdir().unwrap();
    let secret = MasterSecret::from_raw("a".to_owned().into()).unwrap();
    let pools = presets::identity_pools(&env).unwrap();
    let genesis = keystone::genesis(&secret, &pools, None, &env).unwrap();
    let i = TjpAddr::from(genesis.addr().unwrap());
    let quota = Quota::default();
    let (registered, counts) = counted(|| domain::register(&there, &genesis, &quota));
    registered.unwrap();
    assert_eq!(counts, (1, 1), "a genesis");
    let stone = IbGib::new("stone".into(), Some(serde_json::json!({ "a": 1 })), None).unwrap();
    here.put_all(&[genesis.clone(), stone]).unwrap();

    let made = establish(&i, &genesis, &secret, &env).unwrap();
    let frames = std::slice::from_ref(&made.identity);
    let (evolved, counts) = counted(|| domain::evolve(&there, &i, frames, &made.session, &quota));
    evolved.unwrap();
    // The third is I's newest frame, which is read.
    assert_eq!(counts, (3, 2), "a step of I and the genesis of S");
    here.put_all(&[made.identity, made.session.clone()]).unwrap();

    let signer = Signer::new(secret.derive_session(&made.saga_id), made.session).unwrap();
    let opts = SenderOpts::new(dir.path().to_owned());
    let mut sender = Sender::new(&here, i.clone(), made.saga_id, signer, opts).unwrap();
    let opts = ReceiverOpts::new(dir.path().to_owned());
    let receiver = Receiver::new(&there, i, &AdmitAll, opts);
    let mut counting = Counting(receiver, Vec::new());
    run_pair(&mut sender, &mut counting).unwrap();
    assert_eq!(sender.summary().sent, 1);
    // Of a turn the message, the frame, the context and what signs it are hashed; of a turn that is
    // made here the first three. I's newest frame is read to greet, and by each put that I signs;
    // S's newest one is read to greet.
    let expected = [
        ("hello", (2, 0)),
        ("auth_proof", (2, 1)),
        ("sync_frame_request", (4 + 3, 1)),
        ("offer", (0, 0)),
        ("payload", (1, 0)),
        ("sync_frame_request", (4, 1)),
        ("next", (3, 0)),
        ("sync_frame_request", (4 + 3 + 1, 1)),
    ];
    assert_eq!(counting.1, expected);
}

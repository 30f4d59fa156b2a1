//! What both sides hold, and what must hold of it afterwards.

use std::sync::OnceLock;

use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::space::{MemorySpace, Prepared, PutOpts, RowId, Space, Timeline, TimelineKind};
use sync_gib::sync::session::Signer;
use sync_gib::sync::{
    Direction, Receiver, ReceiverOpts, Sender, SenderOpts, SessionAuthority, SyncError,
};

use super::super::fixtures::{Data, Keystones, prepared, scratch};
use super::super::input::Input;

/// Two spaces with an identity, one session of it, and data.
pub(super) struct Sides {
    here: Side,
    there: Side,
    opts: SenderOpts,
}

struct Side {
    space: MemorySpace,
    before: u64,
    data: Vec<Timeline>,
}

impl Sides {
    pub(super) fn new(input: &mut Input<'_>) -> Sides {
        let (here, there) = (Side::new(input.byte()), Side::new(input.byte()));
        let mut opts = SenderOpts::new(scratch().to_owned());
        let asked = input.byte();
        opts.direction = match asked & 7 {
            1 => Direction::PullOnly,
            2 => Direction::PushOnly,
            _ => Direction::Both,
        };
        opts.dry_run = asked & 24 == 24;
        opts.connect_only = asked & 96 == 96;
        let data = Data::get();
        let root = match input.below(8) {
            1 => Some(&data.x[0]),
            2 => Some(&data.y[0]),
            3 => Some(&data.stones[1]),
            4 => Some(&Keystones::get().identity[0]),
            _ => None,
        };
        opts.roots.extend(root.map(|root| root.addr().unwrap()));
        Sides { here, there, opts }
    }

    pub(super) fn sender(&self) -> Sender<'_> {
        let keystones = Keystones::get();
        let signer = Signer::new(keystones.session_secret(), keystones.session[0].clone());
        let (saga_id, opts) = (keystones.saga_id.clone(), self.opts.clone());
        Sender::new(&self.here.space, keystones.domain(), saga_id, signer.unwrap(), opts).unwrap()
    }

    pub(super) fn receiver<'a>(&'a self, authority: &'a dyn SessionAuthority) -> Receiver<'a> {
        let opts = ReceiverOpts::new(scratch().to_owned());
        Receiver::new(&self.there.space, Keystones::get().domain(), authority, opts)
    }

    /// What a receiver did not commit it did not store, but for the frame that connects.
    pub(super) fn check_receiver(&self, committed: bool) {
        if !committed {
            let more = self.there.count() - self.there.before;
            let session = TjpAddr::from(Keystones::get().session[0].addr().unwrap());
            let connected = self.there.space.tip(&session).unwrap().unwrap().n;
            assert_eq!(more, connected, "a receiver that committed nothing stored something");
            assert_eq!(self.there.data, self.there.data_now());
        }
        self.there.check();
    }

    /// A sender that is not through stored nothing.
    pub(super) fn check_sender(&self, done: bool) {
        if !done {
            assert_eq!(
                self.here.count(),
                self.here.before,
                "a sender that failed stored something"
            );
            assert_eq!(self.here.data, self.here.data_now());
        }
        self.here.check();
    }

    /// With nobody between them both sides agree afterwards, unless only one way was asked for.
    pub(super) fn check_agreement(&self, ended: Result<(), SyncError>) {
        if let Err(error) = ended {
            panic!("an honest dialogue failed: {error}");
        }
        let moves = !self.opts.dry_run && !self.opts.connect_only;
        if moves && self.opts.direction == Direction::Both && self.opts.roots.is_empty() {
            let tips = |side: &Side| -> Vec<(TjpAddr, Addr)> {
                let tips = side.data_now().into_iter();
                let mut tips: Vec<_> = tips.map(|data| (data.tjp, data.tip.addr)).collect();
                tips.sort();
                tips
            };
            assert_eq!(tips(&self.here), tips(&self.there));
            let (here, there) = (self.here.count(), self.there.count());
            assert_eq!(here, there, "one side holds more than the other");
        }
    }
}

impl Side {
    /// A side that holds what the bits of `held` say.
    fn new(held: u8) -> Side {
        let space = MemorySpace::new();
        let stock = Stock::get();
        let has = |bit: u8| held & (1 << bit) != 0;
        let put = |items: &[Prepared]| {
            space.put(&mut items.iter().cloned().map(Ok), &PutOpts::default()).unwrap();
        };
        put(&stock.keystones);
        if has(0) || has(1) || has(2) || has(3) {
            put(&stock.x);
        }
        match (has(1), has(2), has(7)) {
            (true, false, _) => put(&stock.x_here),
            (false, true, false) => put(&stock.x_there),
            (false, true, true) => put(&stock.x_late),
            (true, true, false) => put(&stock.x_merged),
            (true, true, true) => put(&stock.x_merged_there),
            (false, false, _) => {}
        }
        if has(3) {
            put(&stock.y);
        }
        if has(4) {
            put(&stock.uncounted);
        }
        if has(5) || has(6) {
            put(&stock.stones[..if has(6) { 2 } else { 1 }]);
        }
        let mut side = Side { space, before: 0, data: Vec::new() };
        (side.before, side.data) = (side.count(), side.data_now());
        side
    }

    fn count(&self) -> u64 {
        self.space.count().unwrap().ibgibs
    }

    fn data_now(&self) -> Vec<Timeline> {
        self.space.timelines(TimelineKind::Data, None, 1000).unwrap()
    }

    /// What came is what its address says, with all that it relates to; no tip left its past.
    fn check(&self) {
        let count = self.count();
        for id in self.before + 1..=count {
            let id = RowId::from(id.cast_signed());
            let addr = self.space.get_id(id).unwrap().validate().expect("its gib is right");
            assert_eq!(self.space.find(&addr).unwrap(), Some(id));
            for rel8d in self.space.node(id).unwrap().rel8ds {
                assert!(self.space.find(&rel8d).unwrap().is_some(), "{addr} lacks {rel8d}");
            }
        }
        if count > self.before {
            let now = self.data_now();
            for before in &self.data {
                let now = now.iter().find(|now| now.tjp_id == before.tjp_id).unwrap();
                assert!(self.space.extends(now.tip.id, before.tip.id).unwrap());
            }
        }
    }
}

/// The fixtures as spaces store them.
struct Stock {
    keystones: Vec<Prepared>,
    x: Vec<Prepared>,
    x_here: Vec<Prepared>,
    x_there: Vec<Prepared>,
    x_late: Vec<Prepared>,
    x_merged: Vec<Prepared>,
    x_merged_there: Vec<Prepared>,
    y: Vec<Prepared>,
    uncounted: Vec<Prepared>,
    stones: Vec<Prepared>,
}

impl Stock {
    fn get() -> &'static Stock {
        static STOCK: OnceLock<Stock> = OnceLock::new();
        STOCK.get_or_init(|| {
            let (data, keystones) = (Data::get(), Keystones::get());
            let mut held = prepared(&keystones.identity[..2]);
            held.extend(prepared(&keystones.session[..1]));
            let both = [&data.x_here[..], &data.x_there].concat();
            let after = |before: &[IbGib], list: &[IbGib]| prepared(&[before, list].concat());
            Stock {
                keystones: held,
                x: prepared(&data.x),
                x_here: prepared(&data.x_here),
                x_there: prepared(&data.x_there),
                x_late: after(&data.x_there, &data.x_late),
                x_merged: after(&both, &data.x_merged),
                x_merged_there: after(&both, &data.x_merged_there),
                y: prepared(&data.y),
                uncounted: prepared(&data.uncounted),
                stones: prepared(&data.stones),
            }
        })
    }
}

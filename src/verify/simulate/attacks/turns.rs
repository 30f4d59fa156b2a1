//! Attacks by somebody who has a secret and a session, against what the session may store.

use serde_json::{Map, Value, json};

use super::super::device::Person;
use super::super::world::World;
use super::identities::changed;
use super::raw::{Ended, Raw};
use crate::ibgib::transform::{Kind, Opts, transform};
use crate::ibgib::{Addr, IbGib};
use crate::keystone;
use crate::space::{Space, SpaceExt, Timeline, TimelineKind};
use crate::sync::body::{
    Body, Commit, Delta, Init, Move, PayloadDigest, Probe, Scope, Stated, Want,
};
use crate::sync::frame::Role;
use crate::sync::msg::Msg;

/// How many attacks on turns there are.
pub(super) const TURNS: usize = 40;

impl World {
    fn a_stone(&self, owner: &Person, linked: Option<&Addr>) -> Result<IbGib, Ended> {
        let mut rel8ns = Map::new();
        rel8ns.insert("ancestor".into(), json!(["tag^gib"]));
        if let Some(linked) = linked {
            rel8ns.insert("linked".into(), json!([linked]));
        }
        let data = json!({"attack": self.choose().below(1_000_000)});
        Ok(IbGib::new(format!("tag {}", owner.label), Some(data), Some(rel8ns))?)
    }

    /// A timeline that the server holds, and its tip.
    fn a_timeline(&self, owner: &Person) -> Result<(Timeline, IbGib), Ended> {
        let disk = self.server.disk(&owner.domain);
        let all = disk.timelines(TimelineKind::Data, None, 100)?;
        if all.is_empty() {
            return Err(Ended::Gone);
        }
        let timeline = all[self.choose().below(all.len())].clone();
        let tip = disk.get_id(timeline.tip.id)?;
        Ok((timeline, tip))
    }

    /// A frame on `tip`, after its dna.
    fn frames_on(&self, tip: &IbGib) -> Result<Vec<IbGib>, Ended> {
        let patch = json!({"attack": self.choose().below(1_000_000)});
        let opts = Opts::next_frame().set("dataToAddOrPatch", patch);
        Ok(transform(Kind::Mut8, tip, &opts.build(), &*self.enemy)?.into_all())
    }

    /// Brings `ibgibs` as one payload that was stated, sealed and committed in order.
    fn bring(
        raw: &mut Raw<'_>,
        (timelines, stones): (Vec<Stated>, Vec<Addr>),
        ibgibs: &[IbGib],
        moves: Vec<Move>,
    ) -> Result<(), Ended> {
        raw.init(timelines, stones)?;
        raw.payload(ibgibs)?;
        raw.seal()?;
        raw.commit(moves)
    }

    /// Keeps to all rules: it must be taken, else the attacks show nothing.
    pub(super) fn keep_to_the_rules(
        &self,
        at: usize,
        owner: &Person,
        way: usize,
    ) -> Result<(), Ended> {
        let mut raw = Raw::connected(&self.server, &self.enemy, (&owner.domain, &owner.secret))?;
        if way == 0 {
            let stone = self.a_stone(owner, None)?;
            self.note_made(at, std::slice::from_ref(&stone));
            let stones = vec![stone.addr()?];
            return World::bring(&mut raw, (Vec::new(), stones), &[stone], Vec::new());
        }
        let (timeline, tip) = self.a_timeline(owner)?;
        let made = self.frames_on(&tip)?;
        self.note_made(at, &made);
        let (stated, moved) = stated_and_moved(&timeline, made.last())?;
        World::bring(&mut raw, (vec![stated], Vec::new()), &made, vec![moved])
    }

    /// An attack inside a session. Ok where all of it was taken.
    pub(super) fn attack_turns(
        &self,
        owner: &Person,
        other: &Person,
        way: usize,
    ) -> Result<(), Ended> {
        let (server, env) = (&self.server, &*self.enemy);
        let raw = &mut Raw::connected(server, env, (&owner.domain, &owner.secret))?;
        let stone = self.a_stone(owner, None)?;
        let addr = stone.addr()?;
        let stones = |stone: &IbGib| Ok::<_, Ended>((Vec::new(), vec![stone.addr()?]));
        let none = || (Vec::new(), Vec::new());
        let default = Delta::default;
        match way {
            // What is signed.
            0 => {
                let mut turn = raw.make(&all_init(Vec::new(), Vec::new()))?;
                turn.signed_session_identity = None;
                raw.take(turn)
            }
            1 => {
                // A signature of another turn.
                let other = raw.make(&all_init(Vec::new(), vec![addr.clone()]))?;
                let mut turn = raw
                    .saga
                    .make(Role::Sender, &all_init(Vec::new(), Vec::new()), self.now())?
                    .into_inner();
                turn.signed_session_identity = other.signed_session_identity;
                raw.take(turn)
            }
            2 => {
                // The signed context, with another message.
                let mut turn = raw.make(&all_init(Vec::new(), Vec::new()))?;
                let other = all_init(Vec::new(), vec![addr.clone()]);
                let other = raw.saga.make(Role::Sender, &other, self.now())?.into_inner();
                turn.saga_frame_msg = other.saga_frame_msg;
                raw.take(turn)
            }
            3 => {
                let turn = raw.make(&all_init(Vec::new(), Vec::new()))?;
                raw.take(turn.clone())?;
                raw.say(&Msg::Request(Box::new(turn))).map(drop)
            }
            4 => {
                // A turn that belongs after another one.
                let first = raw.make(&all_init(Vec::new(), Vec::new()))?;
                raw.saga.append(&first)?;
                raw.init(Vec::new(), Vec::new())
            }
            5 => {
                let body = all_init(Vec::new(), Vec::new());
                let mut turn = raw.saga.make(Role::Receiver, &body, self.now())?.into_inner();
                raw.signer().sign_turn(&mut turn, env)?;
                raw.take(turn)
            }
            6 => {
                let mut turn = raw.make(&all_init(Vec::new(), Vec::new()))?;
                let signed = turn.signed_session_identity.take().ok_or(Ended::Gone)?;
                turn.signed_session_identity =
                    Some(super::identities::forged_step(&signed, self.choose().below(3))?);
                raw.take(turn)
            }
            // The order of the stages.
            7 => raw.commit(Vec::new()),
            8 => raw.request(&Body::Delta(default())),
            9 => raw.payload(std::slice::from_ref(&stone)),
            10 => {
                raw.init(Vec::new(), vec![addr.clone()])?;
                raw.payload(std::slice::from_ref(&stone))?;
                raw.commit(Vec::new())
            }
            11 => {
                raw.init(Vec::new(), vec![addr.clone()])?;
                raw.payload(std::slice::from_ref(&stone))?;
                raw.seal()?;
                raw.init(Vec::new(), Vec::new())
            }
            12 => {
                raw.init(Vec::new(), Vec::new())?;
                raw.request(&Body::Delta(default()))?;
                raw.request(&Body::Delta(default()))
            }
            13 => {
                raw.init(Vec::new(), Vec::new())?;
                raw.say(&Msg::Need { seq: 0, lacks: vec![true] }).map(drop)
            }
            // What is sealed.
            14 => {
                raw.init(Vec::new(), vec![addr.clone()])?;
                raw.payload(std::slice::from_ref(&stone))?;
                let payload = PayloadDigest { count: 1, bytes: 10, digest: "0".repeat(64) };
                raw.request(&Body::Delta(Delta { payload, ..default() }))
            }
            15 => {
                raw.init(Vec::new(), vec![addr.clone()])?;
                raw.payload(std::slice::from_ref(&stone))?;
                raw.seal()?;
                let digest = "0".repeat(64);
                let payload = PayloadDigest { digest, ..raw.sealed() };
                raw.request(&Body::Commit(Commit { payload, moves: Vec::new() }))
            }
            16 => {
                raw.init(Vec::new(), vec![addr.clone()])?;
                raw.payload(std::slice::from_ref(&stone))?;
                let other = self.a_stone(owner, None)?;
                // Something more on the line than what the frame seals.
                let text = json!({"type": "payload", "ibGibs": [Value::Null]}).to_string();
                let text = text.replace("null", &other.to_json());
                raw.say_text(&text)?;
                raw.seal()
            }
            // What is brought.
            17 => World::bring(raw, none(), &[stone], Vec::new()),
            18 => {
                let gone = self.a_stone(owner, None)?.addr()?;
                let open = self.a_stone(owner, Some(&gone))?;
                World::bring(raw, stones(&open)?, &[open], Vec::new())
            }
            19 => {
                let mut wrong = stone;
                wrong.gib = other.domain.gib().to_owned();
                World::bring(raw, stones(&wrong)?, &[wrong], Vec::new())
            }
            20 => {
                // Another identity's frame, as if it were data.
                let foreign = changed(&other.genesis, |data| data["uuid"] = "another".into())?;
                World::bring(raw, stones(&foreign)?, &[foreign], Vec::new())
            }
            21 => {
                // I's next frame, which only an evolution brings.
                let made = super::raw::sign_session(server, env, (&owner.domain, &owner.secret))?;
                World::bring(raw, stones(&made.identity)?, &[made.identity], Vec::new())
            }
            22 => {
                // A session with a step that nobody signed.
                let made = super::raw::sign_session(server, env, (&owner.domain, &owner.secret))?;
                let step = changed(&made.session, |data| {
                    data["n"] = 1.into();
                    data["isTjp"] = false.into();
                })?;
                let batch = [made.session, step];
                World::bring(raw, stones(&batch[1])?, &batch, Vec::new())
            }
            // Where tips move.
            23..=32 => self.attack_tips(raw, owner, way - 23),
            // What is asked for.
            33 => {
                let (timeline, _) = self.a_timeline(owner)?;
                let stated = stated(&timeline);
                raw.init(vec![stated.clone(), stated], Vec::new())
            }
            34 => {
                let (timeline, _) = self.a_timeline(owner)?;
                raw.init(Vec::new(), Vec::new())?;
                let want = Want { tjp: timeline.tjp, tip: timeline.tip.addr, common: None };
                let wants = vec![want.clone(), want];
                raw.request(&Body::Delta(Delta { wants, ..default() }))
            }
            36 => {
                // A proof's signature, of what is left to prove by.
                let mut turn = raw
                    .saga
                    .make(Role::Sender, &all_init(Vec::new(), Vec::new()), self.now())?
                    .into_inner();
                let target = turn.context.addr()?;
                let left = keystone::pool_ids(raw.signer().tip(), keystone::POOL_CONNECT);
                let signed = raw.signer().prove(target.as_str(), &left, env)?;
                turn.signed_session_identity = Some(signed);
                raw.take(turn)
            }
            37 => {
                // A frame that says something else, under a context of its own.
                let body = all_init(Vec::new(), Vec::new());
                let mut turn = raw.saga.make(Role::Sender, &body, self.now())?.into_inner();
                turn.saga_frame = changed(&turn.saga_frame, |data| {
                    data["sessionIdentityTjpAddr"] = owner.domain.as_str().into();
                })?;
                let addr = turn.saga_frame.addr()?;
                if let Some(rel8ns) = &mut turn.context.rel8ns {
                    rel8ns.insert("sagaFrame".into(), json!([addr]));
                }
                turn.context.gib = turn.context.computed_gib()?;
                raw.signer().sign_turn(&mut turn, env)?;
                raw.take(turn)
            }
            38 => {
                // A second branch beside a tip that stays.
                let (timeline, tip) = self.a_timeline(owner)?;
                let prev = tip.prev().map(Addr::parse).transpose()?.ok_or(Ended::Gone)?;
                let prev = server.disk(&owner.domain).get(&prev)?.ok_or(Ended::Gone)?;
                let made = self.frames_on(&prev)?;
                let (stated, moved) = stated_and_moved(&timeline, made.last())?;
                let stays = Move { to: timeline.tip.addr, ..moved };
                World::bring(raw, (vec![stated], Vec::new()), &made, vec![stays])
            }
            35 => {
                // A frame and its message under another turn's context and signature.
                let signed = raw.make(&all_init(Vec::new(), vec![addr.clone()]))?;
                let mut turn = raw
                    .saga
                    .make(Role::Sender, &all_init(Vec::new(), Vec::new()), self.now())?
                    .into_inner();
                turn.context = signed.context;
                turn.signed_session_identity = signed.signed_session_identity;
                raw.take(turn)
            }
            _ => {
                // Another's token.
                let token = raw.token.clone().ok_or(Ended::Gone)?;
                let tjp = &other.domain;
                match server.latest(&other.domain, tjp, &token.value) {
                    Ok(_) => Ok(()),
                    Err(refusal) => Err(Ended::Refused(refusal)),
                }
            }
        }
    }

    /// An attack on a timeline's frames and tip.
    fn attack_tips(&self, raw: &mut Raw<'_>, owner: &Person, way: usize) -> Result<(), Ended> {
        let (timeline, tip) = self.a_timeline(owner)?;
        let made = self.frames_on(&tip)?;
        let last = made.last().ok_or(Ended::Gone)?.clone();
        let (stated, moved) = stated_and_moved(&timeline, Some(&last))?;
        let scope = (vec![stated.clone()], Vec::new());
        match way {
            // A tip that is not where it was.
            0 => {
                let from = Some(timeline.tjp.clone()).filter(|tjp| *tjp != timeline.tip.addr);
                World::bring(raw, scope, &made, vec![Move { from: from.map(Into::into), ..moved }])
            }
            // A tip that was not named.
            1 => World::bring(raw, scope, &made, Vec::new()),
            // A tip that does not come.
            2 => {
                raw.init(scope.0, scope.1)?;
                raw.commit(vec![moved])
            }
            // A second branch.
            3 => {
                let prev = tip.prev().map(Addr::parse).transpose()?.ok_or(Ended::Gone)?;
                let prev = self.server.disk(&owner.domain).get(&prev)?.ok_or(Ended::Gone)?;
                let made = self.frames_on(&prev)?;
                let to = made.last().ok_or(Ended::Gone)?.addr()?;
                let stated = Stated { tip: to.clone(), ..stated };
                World::bring(raw, (vec![stated], Vec::new()), &made, vec![Move { to, ..moved }])
            }
            // Counts that do not grow, or grow too far.
            4 | 5 => {
                let n = tip.n().ok_or(Ended::Gone)?;
                let n = if way == 4 { n } else { n + (1 << 30) };
                let wrong = changed(&last, |data| data["n"] = n.into())?;
                let to = wrong.addr()?;
                let stated = Stated { tip: to.clone(), ..stated };
                let batch = [made[0].clone(), wrong];
                World::bring(raw, (vec![stated], Vec::new()), &batch, vec![Move { to, ..moved }])
            }
            // A frame without a past.
            6 => {
                let mut wrong = last.clone();
                if let Some(rel8ns) = &mut wrong.rel8ns {
                    rel8ns.remove("past");
                }
                wrong.gib = wrong.computed_gib()?;
                let to = wrong.addr()?;
                let stated = Stated { tip: to.clone(), ..stated };
                let batch = [made[0].clone(), wrong];
                World::bring(raw, (vec![stated], Vec::new()), &batch, vec![Move { to, ..moved }])
            }
            // The frame without the dna that it relates to.
            7 => World::bring(raw, scope, &[last], vec![moved]),
            // What is wanted is no frame of that timeline.
            8 => {
                raw.init(Vec::new(), Vec::new())?;
                let tip = self.server.disk(&owner.domain).tip(&owner.domain)?;
                let tip = tip.ok_or(Ended::Gone)?.addr;
                let wants = vec![Want { tjp: timeline.tjp, tip, common: None }];
                raw.request(&Body::Delta(Delta { wants, ..Delta::default() }))
            }
            // A probe of a tip that moved.
            _ => {
                let tip = Some(timeline.tjp.clone()).filter(|tjp| *tjp != timeline.tip.addr);
                let tip = tip.ok_or(Ended::Gone)?;
                let probes = vec![Probe { tjp: timeline.tjp, tip: tip.into(), above: 0, below: 2 }];
                raw.request(&Body::Init(Init { probes, ..Init::of(Scope::All, true) }))
            }
        }
    }
}

fn all_init(timelines: Vec<Stated>, stones: Vec<Addr>) -> Body {
    Body::Init(Init { timelines, stones, ..Init::of(Scope::All, false) })
}

fn stated(timeline: &Timeline) -> Stated {
    let (tip, n) = (timeline.tip.addr.clone(), timeline.tip.n);
    Stated { tjp: timeline.tjp.clone(), tip, n }
}

/// A timeline stated with `last` as its tip, and its move there.
fn stated_and_moved(timeline: &Timeline, last: Option<&IbGib>) -> Result<(Stated, Move), Ended> {
    let (to, from) = (last.ok_or(Ended::Gone)?.addr()?, Some(timeline.tip.addr.clone()));
    let (tjp, n) = (timeline.tjp.clone(), timeline.tip.n + 1);
    Ok((Stated { tjp: tjp.clone(), tip: to.clone(), n }, Move { tjp, from, to }))
}

//! A session that somebody leads by hand, who has the secret and keeps to no rule but where they
//! choose to.

use crate::ibgib::{Addr, IbGib, Seeded, TjpAddr, json};
use crate::keystone::MasterSecret;
use crate::peer::wire::{self, EvolutionBody};
use crate::sync::body::{Body, Commit, Delta, Init, Move, Scope, Stated};
use crate::sync::frame::{Role, Saga};
use crate::sync::msg::{Context, Msg, PROTOCOL, Refusal, RefusalCode, Token};
use crate::sync::payload::{PayloadHasher, SagaHasher};
use crate::sync::session::Signer;
use crate::sync::{Established, Features, establish};

use super::super::server::{Server, Step};
use crate::ibgib::Environment;

/// Why something that was tried did not come about.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server refused it.
    Refused(Refusal),
    /// The server is not there, or what is tried could not be made.
    Gone,
}

impl<E: std::error::Error> From<E> for Ended {
    fn from(_: E) -> Ended {
        Ended::Gone
    }
}

/// A session by hand.
pub(super) struct Raw<'s> {
    server: &'s Server,
    env: &'s Seeded,
    connection: u64,
    pub(super) domain: TjpAddr,
    pub(super) made: Established,
    pub(super) saga: Saga,
    pub(super) token: Option<Token>,
    turn: PayloadHasher,
    total: SagaHasher,
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        self.server.close(self.connection);
    }
}

/// Signs a session on I's newest frame on the server.
pub(super) fn sign_session(
    server: &Server,
    env: &Seeded,
    (domain, secret): (&TjpAddr, &MasterSecret),
) -> Result<Established, Ended> {
    use crate::space::{Space, SpaceExt};
    let disk = server.disk(domain);
    let tip = disk.tip(domain)?.ok_or(Ended::Gone)?;
    let tip = disk.get(&tip.addr)?.ok_or(Ended::Gone)?;
    Ok(establish(domain, &tip, secret, env)?)
}

/// Posts I's frames and a session.
pub(super) fn post(
    server: &Server,
    domain: &TjpAddr,
    frames: &[&IbGib],
    session: &IbGib,
) -> Result<(), Ended> {
    let body = json::stringify(&EvolutionBody { frames: frames.to_vec(), session });
    server.evolve(domain, &body).map_err(Ended::Refused)
}

impl<'s> Raw<'s> {
    /// Opens a connection for a session.
    pub(super) fn open(
        server: &'s Server,
        env: &'s Seeded,
        domain: &TjpAddr,
        made: Established,
    ) -> Result<Raw<'s>, Ended> {
        let connection = server.open().ok_or(Ended::Gone)?;
        let saga = Saga::new(made.saga_id.clone(), made.signer.tjp().clone());
        let (turn, total) = (PayloadHasher::default(), SagaHasher::default());
        let domain = domain.clone();
        Ok(Raw { server, env, connection, domain, made, saga, token: None, turn, total })
    }

    /// Establishes a session and proves it.
    pub(super) fn connected(
        server: &'s Server,
        env: &'s Seeded,
        owner: (&TjpAddr, &MasterSecret),
    ) -> Result<Raw<'s>, Ended> {
        let made = sign_session(server, env, owner)?;
        post(server, owner.0, &[&made.identity], &made.session)?;
        let mut raw = Raw::open(server, env, owner.0, made)?;
        let (uuid, ids) = raw.hello()?;
        raw.prove(&uuid, &ids)?;
        Ok(raw)
    }

    pub(super) fn hello(&mut self) -> Result<(String, Vec<String>), Ended> {
        let (domain, session) = (self.domain.clone(), self.made.signer.tjp().clone());
        let (protocol, features) = (PROTOCOL, Features::new());
        let said = self.say(&Msg::Hello { protocol, domain, session, features })?;
        match said.into_iter().next() {
            Some(Msg::AuthChallenge { challenge_uuid, demanded_ids }) => {
                Ok((challenge_uuid, demanded_ids))
            }
            _ => Err(Ended::Gone),
        }
    }

    pub(super) fn prove(&mut self, uuid: &str, ids: &[String]) -> Result<(), Ended> {
        let keystone = self.made.signer.prove(uuid, ids, self.env)?;
        self.prove_by(keystone)
    }

    pub(super) fn prove_by(&mut self, keystone: IbGib) -> Result<(), Ended> {
        match self.say(&Msg::AuthProof { keystone })?.into_iter().next() {
            Some(Msg::AuthOk { token, .. }) => {
                self.token = token;
                Ok(())
            }
            _ => Err(Ended::Gone),
        }
    }

    /// Says a message. Errors where the server refuses it.
    pub(super) fn say(&mut self, msg: &Msg) -> Result<Vec<Msg>, Ended> {
        self.say_text(&wire::write(msg))
    }

    pub(super) fn say_text(&mut self, text: &str) -> Result<Vec<Msg>, Ended> {
        let Step::Said { out } = self.server.step(self.connection, text) else {
            return Err(Ended::Gone);
        };
        let mut said = Vec::new();
        for text in out {
            match wire::read(&text)? {
                Msg::AuthFail(refusal) | Msg::SyncError(refusal)
                    if refusal.code == RefusalCode::Internal =>
                {
                    return Err(Ended::Gone);
                }
                Msg::AuthFail(refusal) | Msg::SyncError(refusal) => {
                    return Err(Ended::Refused(refusal));
                }
                msg => said.push(msg),
            }
        }
        Ok(said)
    }

    /// Makes a turn and signs it.
    pub(super) fn make(&mut self, body: &Body) -> Result<Context, Ended> {
        let mut turn = self.saga.make(Role::Sender, body, self.env.now())?.into_inner();
        self.made.signer.sign_turn(&mut turn, self.env)?;
        Ok(turn)
    }

    /// Takes a turn: says it, and notes it and its answer as the saga's newest.
    pub(super) fn take(&mut self, turn: Context) -> Result<(), Ended> {
        let said = self.say(&Msg::Request(Box::new(turn.clone())))?;
        self.saga.append(&turn)?;
        for msg in said {
            if let Msg::Response(answer) = msg {
                self.saga.append(&answer)?;
            }
        }
        Ok(())
    }

    pub(super) fn request(&mut self, body: &Body) -> Result<(), Ended> {
        let turn = self.make(body)?;
        self.take(turn)
    }

    pub(super) fn init(&mut self, timelines: Vec<Stated>, stones: Vec<Addr>) -> Result<(), Ended> {
        self.request(&Body::Init(Init { timelines, stones, ..Init::of(Scope::All, false) }))
    }

    pub(super) fn payload(&mut self, ibgibs: &[IbGib]) -> Result<(), Ended> {
        let texts: Vec<Box<str>> = ibgibs.iter().map(|ibgib| ibgib.to_json().into()).collect();
        texts.iter().for_each(|text| self.turn.add(text));
        self.say(&Msg::Payload { ibgibs: texts }).map(drop)
    }

    /// Seals what was sent.
    pub(super) fn seal(&mut self) -> Result<(), Ended> {
        let payload = std::mem::take(&mut self.turn).digest();
        self.total.add(&payload);
        self.request(&Body::Delta(Delta { payload, ..Delta::default() }))
    }

    pub(super) fn commit(&mut self, moves: Vec<Move>) -> Result<(), Ended> {
        let payload = self.total.digest();
        self.request(&Body::Commit(Commit { payload, moves }))
    }

    /// The digest of all that was sealed.
    pub(super) fn sealed(&self) -> crate::sync::body::PayloadDigest {
        self.total.digest()
    }

    pub(super) fn signer(&mut self) -> &mut Signer {
        &mut self.made.signer
    }
}

//! The saga's own ibGibs: its frames, their messages and the contexts, made and checked.

use std::borrow::Borrow;

use serde_json::{Map, Value, json};

use super::body::{Body, SagaStage};
use super::error::SyncError;
use super::msg::Context;
use crate::ibgib::{Addr, IbGib, Moment, Rel8ns, TjpAddr, Valid, json as js};
use crate::space::SAGA_IB;

/// The ib of a saga frame's message.
pub const MESSAGE_IB: &str = "sync_saga_msg";
/// The ib of a turn's context.
pub const CONTEXT_IB: &str = "sync_saga_context";

/// Who made a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who asks: the source.
    Sender,
    /// Who answers: the dest.
    Receiver,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        }
    }
}

/// A saga as it grows: where its timeline stands.
///
/// Both sides keep one. It makes one's own turns and checks the other's.
#[derive(Debug)]
pub struct Saga {
    id: String,
    session: TjpAddr,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    addr: Addr,
    tjp: TjpAddr,
    n: u64,
}

impl Saga {
    /// A saga without a frame yet. `id` is its uuid, `session` the tjp address of S.
    pub fn new(id: String, session: TjpAddr) -> Saga {
        Saga { id, session, last: None }
    }

    /// The tjp address of S.
    pub fn session(&self) -> &TjpAddr {
        &self.session
    }

    /// The saga's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The address of the saga's first frame, once there is one.
    pub fn tjp(&self) -> Option<&TjpAddr> {
        self.last.as_ref().map(|last| &last.tjp)
    }

    /// How many frames the saga has.
    pub fn frames(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.n + 1)
    }

    /// Makes the next turn's message, frame and context, unsigned.
    pub fn make(
        &mut self,
        role: Role,
        body: &Body,
        now: Moment,
    ) -> Result<Context<Valid<IbGib>>, SyncError> {
        let stage = body.stage();
        let message = self.message(stage, body)?;
        let frame = made(self.frame(role, stage, message.addr(), now))?;
        let context = made(self.context(role, frame.addr(), message.addr()))?;
        Ok(Context {
            context,
            saga_frame: frame,
            saga_frame_msg: message,
            signed_session_identity: None,
        })
    }

    /// Takes a turn, one's own or a checked one, as the saga's newest.
    pub fn append<T: Borrow<IbGib>>(&mut self, turn: &Context<T>) -> Result<(), SyncError> {
        let addr = turn.saga_frame.borrow().addr()?;
        let (tjp, n) = match &self.last {
            Some(last) => (last.tjp.clone(), last.n + 1),
            None => (addr.clone().into(), 0),
        };
        self.last = Some(Last { addr, tjp, n });
        Ok(())
    }

    /// Checks a turn of the other side's: every gib, that context, frame and message belong
    /// together, and that the frame goes on from the saga's last one. Returns the body, and the
    /// turn as one that is valid; whether its signature is good is for the session to say.
    pub fn check<'t>(
        &self,
        role: Role,
        turn: &'t Context,
    ) -> Result<(Body, Context<Valid<&'t IbGib>>), SyncError> {
        let valid = |ibgib: &'t IbGib| {
            Valid::check(ibgib).map_err(|error| SyncError::Content(error.to_string()))
        };
        // Each after what it relates to.
        let saga_frame_msg = valid(&turn.saga_frame_msg)?;
        let saga_frame = valid(&turn.saga_frame)?;
        let context = valid(&turn.context)?;
        let signed_session_identity =
            turn.signed_session_identity.as_ref().map(valid).transpose()?;
        let stage = self.stage_of(&saga_frame)?;
        let moment = saga_frame.data.as_ref().and_then(Value::as_object);
        let now = moment
            .and_then(Moment::of_data)
            .ok_or_else(|| SyncError::protocol("a saga frame carries no timestamp"))?;
        let message = saga_frame_msg.addr();
        // A turn holds nothing but what its stage, its message and its place in the saga say, so
        // it is checked by making its content again.
        if !self.frame(role, stage, message, now).is_of(&saga_frame) {
            return Err(SyncError::protocol("the frame does not go on from the saga's last one"));
        }
        if !self.context(role, saga_frame.addr(), message).is_of(&context) {
            return Err(SyncError::protocol("the context does not tie this frame and message"));
        }
        self.check_message(stage, &saga_frame_msg)?;
        let body = Body::read(stage, &saga_frame_msg)?;
        Ok((body, Context { context, saga_frame, saga_frame_msg, signed_session_identity }))
    }

    fn check_message(&self, stage: SagaStage, message: &IbGib) -> Result<(), SyncError> {
        let says =
            |key: &str, value: &str| message.datum(key).and_then(Value::as_str) == Some(value);
        let keys = message.data.as_ref().map_or(0, js::key_count);
        let fits = message.ib == MESSAGE_IB
            && message.rel8ns == Some(ancestor(MESSAGE_IB))
            && keys == 3
            && says("sagaId", &self.id)
            && says("stage", stage.name());
        if fits {
            return Ok(());
        }
        Err(SyncError::protocol("the message belongs to another saga or stage"))
    }

    fn stage_of(&self, frame: &IbGib) -> Result<SagaStage, SyncError> {
        let stage = frame.datum("stage").cloned().unwrap_or(Value::Null);
        serde_json::from_value(stage).map_err(|_| SyncError::protocol("a frame of no known stage"))
    }

    fn message(&self, stage: SagaStage, body: &Body) -> Result<Valid<IbGib>, SyncError> {
        let mut data =
            json!({ "sagaId": self.id, "stage": stage.name(), "body": body.to_value()? });
        js::normalise(&mut data, 0).map_err(|error| SyncError::protocol(error.to_string()))?;
        Ok(Valid::new(MESSAGE_IB.into(), Some(data), Some(ancestor(MESSAGE_IB)))?)
    }

    fn frame(&self, role: Role, stage: SagaStage, message: &Addr, now: Moment) -> Content {
        let mut data = Map::new();
        data.insert("n".into(), self.frames().into());
        now.stamp(&mut data);
        data.insert("sagaId".into(), self.id.clone().into());
        data.insert("stage".into(), stage.name().into());
        data.insert("role".into(), role.name().into());
        data.insert("sessionIdentityTjpAddr".into(), self.session.as_str().into());
        let mut rel8ns = ancestor(SAGA_IB);
        match &self.last {
            Some(last) => {
                rel8ns.insert("past".into(), json!([last.addr]));
                rel8ns.insert("tjp".into(), json!([last.tjp]));
            }
            None => {
                data.insert("uuid".into(), self.id.clone().into());
                data.insert("isTjp".into(), true.into());
            }
        }
        rel8ns.insert("message".into(), json!([message]));
        Content { ib: SAGA_IB, data: Value::Object(data), rel8ns }
    }

    fn context(&self, role: Role, frame: &Addr, message: &Addr) -> Content {
        context(&self.id, self.frames(), role.name(), (frame, message))
    }
}

/// The addresses that the context of a saga's frame may have: of whose frame it is, this does not know.
pub(super) fn contexts_of(
    saga_id: &str,
    n: u64,
    frame: &Addr,
    message: &Addr,
) -> Result<[Addr; 2], SyncError> {
    let of = |role: Role| {
        let context = made(context(saga_id, n, role.name(), (frame, message)))?;
        Ok::<_, SyncError>(context.addr().clone())
    };
    Ok([of(Role::Sender)?, of(Role::Receiver)?])
}

fn context(saga_id: &str, n: u64, role: &str, (frame, message): (&Addr, &Addr)) -> Content {
    let data = json!({ "sagaId": saga_id, "n": n, "role": role });
    let mut rel8ns = ancestor(CONTEXT_IB);
    rel8ns.insert("sagaFrame".into(), json!([frame]));
    rel8ns.insert("sagaFrameMsg".into(), json!([message]));
    Content { ib: CONTEXT_IB, data, rel8ns }
}

/// What a frame or a context must hold.
struct Content {
    ib: &'static str,
    data: Value,
    rel8ns: Rel8ns,
}

impl Content {
    /// Whether an ibGib holds just this. No list in it holds objects, so that the order of keys,
    /// which is not compared, makes no other gib.
    fn is_of<T: Borrow<IbGib>>(&self, ibgib: &Valid<T>) -> bool {
        ibgib.ib == self.ib
            && ibgib.data.as_ref() == Some(&self.data)
            && ibgib.rel8ns.as_ref() == Some(&self.rel8ns)
    }
}

fn made(content: Content) -> Result<Valid<IbGib>, SyncError> {
    let Content { ib, data, rel8ns } = content;
    Ok(Valid::new(ib.into(), Some(data), Some(rel8ns))?)
}

fn ancestor(ib: &str) -> Rel8ns {
    let mut rel8ns = Rel8ns::new();
    rel8ns.insert("ancestor".into(), json!([format!("{ib}^gib")]));
    rel8ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::body::{Delta, Init, Scope};

    fn sagas() -> (Saga, Saga) {
        let hash = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
        let session = Addr::parse(&format!("keystone^{hash}")).unwrap();
        (Saga::new("id1".into(), session.clone().into()), Saga::new("id1".into(), session.into()))
    }

    fn init() -> Body {
        Body::Init(Init::of(Scope::All, false))
    }

    #[test]
    fn a_turn_that_one_side_makes_the_other_accepts() {
        let (mut sender, mut receiver) = sagas();
        for n in 0..3 {
            let made = sender.make(Role::Sender, &init(), Moment::now()).unwrap().into_inner();
            receiver.check(Role::Sender, &made).unwrap();
            sender.append(&made).unwrap();
            receiver.append(&made).unwrap();
            assert_eq!(receiver.frames(), n + 1);
        }
    }

    /// A turn made by hand of a message's data, with one more field in the frame's where that is
    /// asked for.
    fn by_hand(saga: &Saga, data: Value, more: Option<&str>) -> Context {
        let message =
            IbGib::new(MESSAGE_IB.into(), Some(data), Some(ancestor(MESSAGE_IB))).unwrap();
        let addr = message.addr().unwrap();
        let frame = super::made(saga.frame(Role::Sender, SagaStage::Init, &addr, Moment::now()))
            .unwrap()
            .into_inner();
        let mut data = frame.data.unwrap();
        if let Some(more) = more {
            data[more] = json!(1);
        }
        let frame = IbGib::new(SAGA_IB.into(), Some(data), frame.rel8ns).unwrap();
        let context = super::made(saga.context(Role::Sender, &frame.addr().unwrap(), &addr))
            .unwrap()
            .into_inner();
        let (saga_frame, saga_frame_msg) = (frame, message);
        Context { context, saga_frame, saga_frame_msg, signed_session_identity: None }
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over_in_a_body_and_nowhere_else() {
        let (sender, receiver) = sagas();
        let data = sender.message(SagaStage::Init, &init()).unwrap().data.clone().unwrap();
        let mut in_body = data.clone();
        in_body["body"]["new"] = json!({ "a": [1] });
        for data in [&data, &in_body] {
            let turn = by_hand(&sender, data.clone(), None);
            let (body, _) = receiver.check(Role::Sender, &turn).unwrap();
            assert_eq!(body.to_value().unwrap(), init().to_value().unwrap());
        }
        let mut beside = data.clone();
        beside["new"] = json!(1);
        for (data, more) in [(beside, None), (data, Some("new"))] {
            let turn = by_hand(&sender, data, more);
            let refused = receiver.check(Role::Sender, &turn);
            assert!(matches!(refused, Err(SyncError::Protocol(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_turn_out_of_line_is_refused() {
        let (mut sender, receiver) = sagas();
        let first = sender.make(Role::Sender, &init(), Moment::now()).unwrap().into_inner();
        sender.append(&first).unwrap();
        let second = sender.make(Role::Sender, &init(), Moment::now()).unwrap().into_inner();
        assert!(receiver.check(Role::Sender, &second).is_err());
        assert!(receiver.check(Role::Receiver, &first).is_err());

        let mut other = first.clone();
        let delta = Body::Delta(Delta::default());
        other.saga_frame_msg = receiver.message(SagaStage::Delta, &delta).unwrap().into_inner();
        assert!(receiver.check(Role::Sender, &other).is_err());

        let mut forged = first;
        forged.context.gib =
            "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55".into();
        assert!(matches!(receiver.check(Role::Sender, &forged), Err(SyncError::Content(_))));
    }
}

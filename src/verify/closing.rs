//! What holds at the end of every row: both sides' graphs are equal and closed, every gib is
//! right, S counts its turns, S and I replay as valid, I's claims are on both sides
//! (docs/protocol.md, section 8).

use super::checks::{listed, shown};
use super::device::Device;
use super::error::VerifyError;
use super::side::{Held, Served, Side};
use super::sides::{
    claims_differ, closed_graph, compare, latest_differs, message_of, none_of, replay,
};
use super::world::World;
use crate::ibgib::{Addr, TjpAddr};
use crate::peer::ReceiverLink;
use crate::space::{Space, SqliteSpace, compare_graphs};
use crate::sync::sender::NAME_SAGA;

impl<L: ReceiverLink> World<'_, L> {
    /// Asserts it all, for each device and each named root; the device that synced last comes
    /// first among `devices`.
    pub(super) fn close(
        &mut self,
        devices: &[&Device],
        roots: &[(&str, &Addr)],
    ) -> Result<(), VerifyError> {
        let there = self.receiver()?;
        for (name, root) in roots {
            for device in devices {
                self.same_on_both(name, root, device, &there)?;
            }
        }
        self.sessions(devices, &there)?;
        self.identity(devices, &there)?;
        if let Some(last) = devices.first() {
            self.last_session(last, &there)?;
        }
        if self.is_remote {
            self.served(devices, roots)?;
        }
        Ok(())
    }

    /// The latest frame of `root` and its whole graph are the same here and there.
    fn same_on_both(
        &mut self,
        name: &str,
        root: &Addr,
        device: &Device,
        there: &SqliteSpace,
    ) -> Result<(), VerifyError> {
        let what = |what: &str| format!("{name}: {what} ({})", device.label);
        let (tip_here, tip_there) = (latest(&device.space, root)?, latest(there, root)?);
        let latest = what("the latest frame is the same on both sides");
        self.checks.equal(latest, shown(tip_here.as_ref()), shown(tip_there.as_ref()));
        let (Some(tip_here), Some(tip_there)) = (tip_here, tip_there) else { return Ok(()) };
        let graph_here = closed_graph(&Held(&device.space), &tip_here);
        let graph_there = closed_graph(&Held(there), &tip_there);
        let closed = "closed, every gib right";
        self.checks.holds(what("the graph here"), closed, as_ref(&graph_here));
        self.checks.holds(what("the graph there"), closed, as_ref(&graph_there));
        let (Ok(graph_here), Ok(graph_there)) = (graph_here, graph_there) else { return Ok(()) };
        self.checks.equal(what("as many ibGibs"), graph_here.len(), graph_there.len());
        let found = same(&device.space, &tip_here, &Held(there), &tip_there)
            .and_then(|()| compared(&device.space, &tip_here, there, &tip_there))
            .and_then(|()| compared(there, &tip_there, &device.space, &tip_here));
        self.checks.holds(what("all keys and values"), "equal, both directions", found);
        Ok(())
    }

    /// What must be true of every session that the row opened.
    fn sessions(&mut self, devices: &[&Device], there: &SqliteSpace) -> Result<(), VerifyError> {
        let expected = listed(self.runs.iter().map(|run| run.n));
        let (mut n_here, mut n_there) = (Vec::new(), Vec::new());
        let (mut valid_here, mut valid_there, mut equal) = (Ok(()), Ok(()), Ok(()));
        for run in &self.runs {
            let Some(device) = devices.iter().find(|device| device.label == run.label) else {
                continue;
            };
            let here = &device.space;
            n_here.push(shown(here.tip(&run.session)?.map(|tip| tip.n)));
            n_there.push(shown(there.tip(&run.session)?.map(|tip| tip.n)));
            valid_here = valid_here.and(none_of(replay(here, &run.session)));
            valid_there = valid_there.and(none_of(replay(there, &run.session)));
            equal = equal.and(graphs_equal(here, there, &run.session));
        }
        let many = if self.runs.len() > 1 { " (each session)" } else { "" };
        let checks = &mut *self.checks;
        checks.equal(format!("S: n here is 1 + outgoing turns{many}"), &expected, listed(n_here));
        checks.equal(format!("S: n there is 1 + outgoing turns{many}"), &expected, listed(n_there));
        checks.holds(format!("S: replays here{many}"), "valid", valid_here);
        checks.holds(format!("S: replays there{many}"), "valid", valid_there);
        checks.holds(format!("S: latest frame and graph{many}"), "equal on both sides", equal);
        Ok(())
    }

    /// I replays as valid everywhere, and each session's claim is on both sides.
    fn identity(&mut self, devices: &[&Device], there: &SqliteSpace) -> Result<(), VerifyError> {
        let domain = self.place.domain();
        let valid = none_of(replay(there, domain));
        self.checks.holds("I: replays there, from genesis", "valid", valid);
        for device in devices {
            let valid = none_of(replay(&device.space, domain));
            let what = format!("I: replays here, from genesis ({})", device.label);
            self.checks.holds(what, "valid", valid);
        }
        let sessions: Vec<(&TjpAddr, Option<&dyn Space>)> = self
            .runs
            .iter()
            .map(|run| {
                let device = devices.iter().find(|device| device.label == run.label);
                (&run.session, device.map(|device| &device.space as &dyn Space))
            })
            .collect();
        let claimed = none_of(claims_differ(domain, &Held(there), &sessions));
        let expected = "in both spaces, verb sync, target S's tjp";
        self.checks.holds("I: the frame that claims S (I1)", expected, claimed);
        Ok(())
    }

    /// The session that was opened last: I and the saga's history stand equal on both sides.
    fn last_session(&mut self, last: &Device, there: &SqliteSpace) -> Result<(), VerifyError> {
        let domain = self.place.domain();
        let equal = graphs_equal(&last.space, there, domain);
        self.checks.holds("I: latest frame and graph", "equal on both sides", equal);
        if self.runs.last().is_some_and(|run| run.n > 1) {
            let found = match last.space.name(NAME_SAGA)? {
                Some(saga) => graphs_equal(&last.space, there, &saga),
                None => Err("the saga has no name here".to_owned()),
            };
            self.checks.holds("the saga's history", "equal on both sides", found);
        }
        Ok(())
    }

    /// What the receiver serves to whoever holds a token is what is here.
    fn served(&mut self, devices: &[&Device], roots: &[(&str, &Addr)]) -> Result<(), VerifyError> {
        let (Some(run), Some(last)) = (self.runs.last(), devices.first()) else { return Ok(()) };
        if run.n == 0 {
            return Ok(());
        }
        let token = run.token.as_ref().map(|token| token.value.clone());
        let has_token = if token.is_some() { Ok(()) } else { Err("no token") };
        self.checks.holds("auth_ok hands out a token for reading", "a token", has_token);
        let Some(token) = token else { return Ok(()) };
        let (session, domain) = (run.session.clone(), self.place.domain().clone());
        let all = [("S", &*session), ("I", &*domain)];
        let far = Served { link: self.link, domain: &domain, token: &token };
        for (name, root) in roots.iter().chain(&all) {
            let (here, tjp) = (latest(&last.space, root)?, TjpAddr::from((*root).clone()));
            if last.space.tip(&tjp)?.is_some() {
                let tip = far.latest(&tjp)?;
                let what = format!("{name}: the latest address that the server tells");
                self.checks.equal(what, shown(here.as_ref()), shown(tip));
            }
            let Some(here) = here else { continue };
            let served = same(&last.space, &here, &far, &here);
            let what = format!("{name}: the graph that the server sends, hashed here");
            self.checks.holds(what, "closed and equal", served);
        }
        let refused = match self.link.latest(&domain, &domain, "no-such-token") {
            Err(_) => Ok(()),
            Ok(_) => Err("answered"),
        };
        self.checks.holds("reading with another token", "refused", refused);
        Ok(())
    }
}

/// The latest frame of a timeline, or the stone itself; none where it is not in the space.
pub(super) fn latest(space: &dyn Space, root: &Addr) -> Result<Option<Addr>, VerifyError> {
    match space.tip(&TjpAddr::from(root.clone()))? {
        Some(tip) => Ok(Some(tip.addr)),
        None => Ok(space.find(root)?.map(|_| root.clone())),
    }
}

fn as_ref<T>(graph: &Result<T, String>) -> Result<(), &String> {
    graph.as_ref().map(|_| ())
}

/// Whether two graphs are the same and closed: the near one is, and the far one has no other ibGib
/// and none less.
fn same(near: &dyn Space, here: &Addr, far: &dyn Side, there: &Addr) -> Result<(), String> {
    closed_graph(&Held(near), here)?;
    none_of(compare(near, here, far, Some(there), false).map(|found| found.problems))
}

/// The spaces' own comparison, which works from their index.
fn compared(a: &dyn Space, tip_a: &Addr, b: &dyn Space, tip_b: &Addr) -> Result<(), String> {
    let row = |space: &dyn Space, tip: &Addr| {
        space.find(tip).map_err(message_of)?.ok_or_else(|| format!("{tip} is missing"))
    };
    let diff = compare_graphs(a, &[row(a, tip_a)?], b, &[row(b, tip_b)?]).map_err(message_of)?;
    if diff.is_same() { Ok(()) } else { Err(format!("{diff:?}")) }
}

/// Whether both sides hold one timeline with the same latest frame and the same closed graph.
fn graphs_equal(here: &dyn Space, there: &dyn Space, tjp: &TjpAddr) -> Result<(), String> {
    let tip = |space: &dyn Space| {
        let tip = space.tip(tjp).map_err(message_of)?;
        tip.map(|tip| tip.addr).ok_or_else(|| format!("{tjp} is missing"))
    };
    let (tip_here, tip_there) = (tip(here)?, tip(there)?);
    match latest_differs(tjp, &tip_here, Some(&tip_there), &Held(there)) {
        Some(problem) => Err(problem),
        None => same(here, &tip_here, &Held(there), &tip_there),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::peer::InProcess;
    use crate::space::SpaceExt;
    use crate::verify::checks::{Assertion, Checks};
    use crate::verify::world::{RowFolder, SessionRecord};

    /// What fails after a sync of one timeline and `spoil`.
    fn failed_after(
        spoil: impl FnOnce(&mut World<'_, InProcess>, &Device, &TjpAddr),
    ) -> Vec<Assertion> {
        let dir = tempfile::tempdir().unwrap();
        let place = RowFolder::make(&dir.path().join("row")).unwrap();
        let domain = place.domain();
        let dest = SqliteSpace::create_if_missing(&place.receiver_path(), domain).unwrap();
        let link = InProcess::new(dest, place.dir().to_owned());
        let mut checks = Checks::default();
        let mut world = World::new(&place, &link, &mut checks, false);
        let device = world.sender().unwrap();
        let x = device.new_timeline("x", json!({"a": 1})).unwrap();
        world.sync(&device, &[]).unwrap();
        spoil(&mut world, &device, &x);
        world.close(&[&device], &[("X", &x)]).unwrap();
        checks.into_list().into_iter().filter(|assertion| !assertion.ok).collect()
    }

    fn whats(failed: &[Assertion]) -> String {
        listed(failed.iter().map(|assertion| &assertion.what))
    }

    #[test]
    fn a_good_sync_fails_nothing() {
        assert_eq!(failed_after(|_, _, _| {}), []);
    }

    #[test]
    fn an_edit_that_was_not_synced_is_found() {
        let failed = failed_after(|_, device, x| {
            device.edit(x, json!({"a": 2})).unwrap();
        });
        let whats = whats(&failed);
        for part in ["X: the latest frame", "X: as many ibGibs", "X: all keys and values"] {
            assert!(whats.contains(part), "{whats}");
        }
        assert_eq!(failed.len(), 3, "{whats}");
    }

    #[test]
    fn a_turn_that_was_not_signed_is_found() {
        let failed = failed_after(|world, _, _| world.runs[0].n += 1);
        assert!(failed.len() == 2 && whats(&failed).contains("S: n here"), "{failed:?}");
        assert_eq!((failed[1].expected.as_str(), failed[1].found.as_str()), ("5", "4"));
    }

    #[test]
    fn a_session_that_is_on_one_side_only_is_found() {
        let failed = failed_after(|world, device, _| {
            let made = world.establish_on_genesis().unwrap();
            device.space.put_all(std::slice::from_ref(&made.session)).unwrap();
            let session = made.session.addr().unwrap();
            world.runs.push(SessionRecord {
                label: device.label,
                session: session.into(),
                n: 0,
                token: None,
            });
        });
        let whats = whats(&failed);
        for part in ["S: n there", "S: replays there", "S: latest frame", "(I1)"] {
            assert!(whats.contains(part), "{whats}");
        }
    }

    #[test]
    fn an_ibgib_that_was_changed_on_the_disk_is_found() {
        let failed = failed_after(|world, _, _| {
            let file = rusqlite::Connection::open(world.place.receiver_path()).unwrap();
            let sql = r#"UPDATE ibgib SET json = replace(json, '"a":1', '"a":7')"#;
            assert!(file.execute(sql, []).unwrap() > 0);
        });
        assert!(whats(&failed).contains("X: the graph there"), "{failed:?}");
    }
}

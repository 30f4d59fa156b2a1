//! Lines that are cut after each message, and lines that let nothing through one way: the client
//! says so by its exit code, each side holds the old state or the new one, and a rerun finishes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

mod net_common;

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use net_common::relay::{Act, Cut, Event, Way};
use net_common::scene::*;
use sync_gib::cli::error::CliError;
use sync_gib::keystone::MasterSecret;
use sync_gib::peer::{Endpoint, Identity, NoObserver, Remote, Timeouts, client};
use sync_gib::space::{Domain, SqliteSpace};
use sync_gib::sync::SenderOpts;

/// Cuts the line of a sync after each of its messages, one after the other.
fn cut_after_each(kind: Kind, cut: Cut) {
    let template = Template::new(kind);
    let messages = template.messages();
    assert!(
        messages.iter().filter(|message| message.name == "payload").count() > 1,
        "{messages:?}"
    );
    let mut broke_off = 0;
    for message in &messages {
        let stage = template.stage();
        at_message(&stage, message, Act::Cut(cut));
        let told = stage.told();
        let place = format!("{kind:?} cut by {cut:?} after {message}");
        let last = messages.len();
        match told["exit"].as_u64() {
            None => stage.is_done(&place),
            Some(3) => {
                assert!(message.seq < last, "{place}: all was through");
                assert_eq!(told["error"]["code"], "unreachable", "{place}");
                broke_off += 1;
            }
            _ => panic!("{place}: {told}"),
        }
        stage.old_or_new(&place);
        stage.finishes(&place);
    }
    assert!(broke_off > messages.len() / 2, "{broke_off} of {} were noticed", messages.len());
}

/// Does something at one message of a stage.
fn at_message(stage: &Stage<'_>, message: &Event, act: Act) {
    let at = message.clone();
    stage.relay.act(move |event| if event.is(at.named()) { act } else { Act::Pass });
}

#[test]
fn a_session_that_the_server_took_and_forgot_is_made_anew_without_waiting() {
    let template = Template::new(Kind::Push);
    let answer = ("200 to POST evolution", 1);
    let mut stage = template.stage();
    let lose = Act::Lose(Cut::Fin);
    stage.relay.act(move |event| if event.is(answer) { lose } else { Act::Pass });
    stage.relay.after({
        let server = stage.serve().pid();
        move |event| {
            if event.is(answer) {
                let pid = Pid::from_raw(i32::try_from(server).unwrap()).unwrap();
                kill_process(pid, Signal::KILL).unwrap();
            }
        }
    });
    assert_eq!(stage.told()["exit"], 3);
    stage.restart();
    let file = rusqlite::Connection::open(stage.server_file()).unwrap();
    assert_eq!(file.execute("DELETE FROM session WHERE connected_ms IS NULL", []).unwrap(), 1);
    drop(file);
    stage.finishes("the ledger was lost");
}

/// How many syncs wait at once for a time to run out.
const AT_ONCE: usize = 6;

/// Lets vanish what goes up, from each of a sync's messages on, whole or from its middle on.
fn nothing_goes_up(kind: Kind, act: Act) {
    let more = ["--idle-timeout", "2", "--auth-timeout", "2"];
    let template = Template::with(kind, &more);
    let messages = template.messages();
    let up: Vec<&Event> = messages.iter().filter(|message| message.way == Way::Up).collect();
    assert!(up.len() > 6, "{messages:?}");
    for some in up.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for message in some {
                let template = &template;
                scope.spawn(move || {
                    let stage = template.stage();
                    at_message(&stage, message, act);
                    let place = format!("{kind:?}, {act:?} from {message} on");
                    let told = stage.told();
                    assert_eq!(told["error"]["code"], "unreachable", "{place}: {told}");
                    assert_eq!(told["exit"], 3, "{place}: {told}");
                    stage.old_or_new(&place);
                    stage.relay.lead_to(stage.serve().addr());
                    stage.finishes(&place);
                });
            }
        });
    }
}

#[test]
fn a_push_of_which_nothing_goes_up() {
    nothing_goes_up(Kind::Push, Act::Swallow);
}

#[test]
fn a_push_that_breaks_off_on_its_way_up() {
    nothing_goes_up(Kind::Push, Act::Tear);
}

#[test]
fn a_pull_of_which_nothing_goes_up() {
    nothing_goes_up(Kind::Pull, Act::Swallow);
}

/// Syncs as the program does, but for shorter timeouts.
fn sync_impatiently(stage: &Stage<'_>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { idle: second, untrusted: second, ..Timeouts::default() };
    let endpoint = Endpoint::new(&stage.relay.url, None, false)?;
    let link = Remote::new(&runtime, endpoint, timeouts)?;
    let home = stage.home_dir();
    let space = SqliteSpace::open(&home.join("space.db"), Domain::Client)?;
    let secret = MasterSecret::from_raw("correct horse battery staple walnut".to_owned().into())?;
    let identity = Identity { domain: stage.domain().clone(), secret };
    let opts = SenderOpts { retry_for: Duration::ZERO, ..SenderOpts::new(home) };
    Ok(client::sync(&space, &link, &identity, &opts, &mut NoObserver).map(drop)?)
}

/// Lets vanish what comes down, from each of a sync's messages on, whole or from its middle on.
fn nothing_comes_down(kind: Kind, act: Act) {
    let template = Template::new(kind);
    let messages = template.messages();
    let down: Vec<&Event> = messages.iter().filter(|message| message.way == Way::Down).collect();
    assert!(down.len() > 6, "{messages:?}");
    for some in down.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for message in some {
                let template = &template;
                scope.spawn(move || {
                    let stage = template.stage();
                    at_message(&stage, message, act);
                    let place = format!("{kind:?}, {act:?} from {message} on");
                    let error = sync_impatiently(&stage).expect_err(&place);
                    assert_eq!(error.code.as_str(), "unreachable", "{place}: {error}");
                    assert_eq!(error.exit, 3, "{place}: {error}");
                    stage.old_or_new(&place);
                    stage.relay.lead_to(stage.serve().addr());
                    stage.finishes(&place);
                });
            }
        });
    }
}

#[test]
fn a_push_of_which_nothing_comes_down() {
    nothing_comes_down(Kind::Push, Act::Swallow);
}

#[test]
fn a_pull_of_which_nothing_comes_down() {
    nothing_comes_down(Kind::Pull, Act::Swallow);
}

#[test]
fn a_pull_that_breaks_off_on_its_way_down() {
    nothing_comes_down(Kind::Pull, Act::Tear);
}

#[test]
fn a_push_is_cut_after_each_message_by_fin() {
    cut_after_each(Kind::Push, Cut::Fin);
}

#[test]
fn a_push_is_cut_after_each_message_by_rst() {
    cut_after_each(Kind::Push, Cut::Rst);
}

#[test]
fn a_pull_is_cut_after_each_message_by_fin() {
    cut_after_each(Kind::Pull, Cut::Fin);
}

#[test]
fn a_pull_is_cut_after_each_message_by_rst() {
    cut_after_each(Kind::Pull, Cut::Rst);
}

#[test]
fn a_merge_is_cut_after_each_message_by_fin() {
    cut_after_each(Kind::Merge, Cut::Fin);
}

#[test]
fn a_merge_is_cut_after_each_message_by_rst() {
    cut_after_each(Kind::Merge, Cut::Rst);
}

//! Lines that are cut and processes that are killed in the middle of a payload.

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Cuts a sync at these parts of what goes over the line, each of them in a world of its own, and
/// syncs again.
fn resumes_after_each_cut(way: Way, stones: usize, percents: &[u64]) {
    let whole = Scene::with_stones(way, stones);
    whole.line.pass();
    let (plain, resumed) = Scene::moved(&whole.sync(), way);
    assert_eq!(resumed, 0);
    whole.is_done();
    let on_line = whole.line.passed(way);
    drop(whole);
    for &percent in percents {
        let scene = Scene::with_stones(way, stones);
        let place = format!("{way:?} at {percent} % of {on_line}");
        scene.is_cut(way, on_line / 100 * percent);
        let arrived = plain / 100 * percent;
        let (moved, resumed) = scene.goes_on(way);
        assert_eq!(moved + resumed, plain, "{place}");
        assert!(moved <= plain - arrived + AGAIN, "{place}: {moved} of {plain} moved again");
        let passed = scene.line.passed(way);
        assert!(passed <= on_line / 100 * (100 - percent) + AGAIN, "{place}: {passed} passed");
        scene.is_done();
    }
}

#[test]
fn what_arrived_before_a_cut_does_not_travel_again() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::with_stones(way, 6_000);
        scene.is_cut(way, 3_000_000);
        let (moved, resumed) = scene.goes_on(way);
        assert!(resumed > 4_000_000 && moved < 2_000_000, "{way:?}: {moved}, {resumed}");
        scene.is_done();
    }
}

#[test]
#[ignore = "100 MB; run by hand"]
fn a_push_and_a_pull_of_100_mb_go_on_after_each_cut() {
    resumes_after_each_cut(Way::Up, 100_000, &[10, 50, 90]);
    resumes_after_each_cut(Way::Down, 100_000, &[10, 50, 90]);
}

#[test]
fn a_payload_may_be_cut_many_times() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::with_stones(way, 5_000);
        let mut kept = 0;
        for _ in 0..2 {
            scene.is_cut(way, 1_400_000);
            let now = bytes(&scene.one_kept());
            assert!(now > kept, "{way:?}: {now} after {kept}");
            kept = now;
        }
        let (moved, resumed) = scene.goes_on(way);
        assert!(
            resumed + 20_000 >= kept && moved < 3_000_000,
            "{way:?}: {moved}, {resumed} of {kept}"
        );
        scene.is_done();
    }
}

/// Waits until something is written down in a folder.
fn wait_for_kept(dir: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    while kept_in(dir).iter().all(|path| bytes(path) == 0) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_is_killed_keeps_what_it_got() {
    let mut scene = Scene::with_stones(Way::Up, 4_000);
    let pid = Pid::from_raw(i32::try_from(scene.serve.as_ref().unwrap().pid()).unwrap()).unwrap();
    scene.line.cut_after(Way::Up, 1_400_000);
    let dir = scene.world.dir.path().to_owned();
    scene.line.then(move || {
        wait_for_kept(&dir);
        kill_process(pid, Signal::KILL).unwrap();
    });
    assert_eq!(scene.sync()["exit"], 3);
    scene.restart();
    let kept = bytes(&scene.one_kept());
    let (_, resumed) = Scene::moved(&scene.sync(), Way::Up);
    assert!(kept > 200_000 && resumed + (300 << 10) > kept, "{resumed} of {kept}");
    scene.is_done();
}

#[test]
fn a_client_that_is_killed_keeps_what_it_got() {
    let scene = Scene::with_stones(Way::Down, 4_000);
    scene.line.cut_after(Way::Down, 1_400_000);
    let (tell, told) = std::sync::mpsc::channel::<Pid>();
    let dir = scene.world.path("a");
    scene.line.then(move || {
        wait_for_kept(&dir);
        kill_process(told.recv().unwrap(), Signal::KILL).unwrap();
    });
    let mut client = scene.world.command("a", &["sync"]).spawn().unwrap();
    tell.send(Pid::from_child(&client)).unwrap();
    assert_eq!(client.wait().unwrap().code(), None);
    scene.line.pass();
    let kept = bytes(&scene.one_kept());
    let (_, resumed) = Scene::moved(&scene.sync(), Way::Down);
    assert!(kept > 200_000 && resumed + (300 << 10) > kept, "{resumed} of {kept}");
    scene.is_done();
}

/// A timeline of 120 frames with 20 KB of text each.
fn document(scene: &Scene, home: &str) {
    let space = scene.space(home);
    let x = space.name("X").unwrap().unwrap();
    let edit = |at: usize| {
        let text: String = (0..20).map(|part| stone(at * 1000 + part).to_json()).collect();
        let tip = space.get_id(space.tip(&x).unwrap().unwrap().id).unwrap();
        let patch = json!({ "text": text });
        let opts = sync_gib::ibgib::transform::Opts::next_frame().set("dataToAddOrPatch", patch);
        let made = sync_gib::ibgib::transform::transform(
            sync_gib::ibgib::transform::Kind::Mut8,
            &tip,
            &opts.build(),
            &sync_gib::ibgib::System::new(),
        );
        space.put_all(&made.unwrap().into_all()).unwrap();
    };
    (0..120).for_each(edit);
}

#[test]
fn a_document_goes_on_though_it_was_edited_meanwhile() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::new();
        document(&scene, scene.source(way));
        scene.provide(way);
        scene.is_cut(way, 900_000);
        let kept = bytes(&scene.one_kept());
        scene.world.ok(scene.source(way), &["mut8", "X", "--set", "more=1"]);
        scene.world.ok(scene.source(way), &["new", "--ib", "note"]);
        scene.provide(way);
        let (moved, resumed) = scene.goes_on(way);
        assert!(
            kept > 1_000_000 && resumed + 1000 >= kept,
            "{way:?}: {resumed} of {kept}, {moved}"
        );
        scene.is_done();
    }
}

#[test]
fn stones_go_on_though_there_was_an_edit_meanwhile() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::with_stones(way, 3_000);
        scene.is_cut(way, 1_300_000);
        let kept = bytes(&scene.one_kept());
        scene.world.ok(scene.source(way), &["mut8", "X", "--set", "more=1"]);
        scene.world.ok(scene.source(way), &["new", "--ib", "note"]);
        scene.provide(way);
        let (moved, resumed) = scene.goes_on(way);
        assert!(resumed + 10_000 > kept, "{way:?}: {resumed} of {kept}, {moved} moved");
        scene.is_done();
    }
}

#[test]
fn a_push_that_another_device_was_faster_than_does_not_go_again() {
    let scene = Scene::with_stones(Way::Up, 4_000);
    scene.world.ok("a", &["mut8", "X", "--set", "mine=1"]);
    // The whole payload is there when the line is cut, but for the commit.
    scene.line.pass();
    scene.is_cut(Way::Up, 1_800_000);
    scene.world.ok("b", &["mut8", "X", "--set", "theirs=1"]);
    scene.world.ok("b", &["sync"]);
    let (_, resumed) = scene.goes_on(Way::Up);
    assert!(resumed > 1_000_000, "{resumed}");
    scene.is_done();
}

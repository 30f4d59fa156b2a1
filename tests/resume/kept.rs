//! What was kept and is not what it was, or not to be had: the sync is right all the same.

use std::io::{Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

use super::*;

/// After a cut, does something to what was kept; then all is well, and as much as `resumes` says of it
/// is resumed.
fn after(way: Way, stones: u64, spoil: impl Fn(&Path), resumes: impl Fn(u64, u64) -> bool) {
    let scene = Scene::with_stones(way, usize::try_from(stones).unwrap());
    scene.is_cut(way, stones * 450);
    let file = scene.one_kept();
    let kept = bytes(&file);
    assert!(kept > stones * 500, "{way:?}: {kept}");
    spoil(&file);
    let (moved, resumed) = scene.goes_on(way);
    assert!(resumes(resumed, kept), "{way:?}: {resumed} of {kept}, {moved} moved");
    scene.is_done();
}

fn file(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn a_torn_record_is_cut_off() {
    let torn = |path: &Path| file(path).set_len(bytes(path) - 700).unwrap();
    after(Way::Up, 2_000, torn, |resumed, kept| resumed > kept - 20_000);
}

#[test]
fn what_comes_after_a_changed_byte_is_sent_again() {
    let flip = |path: &Path| {
        let mut file = file(path);
        file.seek(SeekFrom::Start(bytes(path) - 200_500)).unwrap();
        file.write_all(b"!").unwrap();
    };
    after(Way::Up, 8_000, flip, |resumed, kept| (4 << 20..kept - 200_000).contains(&resumed));
    let first = |path: &Path| file(path).write_all(b"!").unwrap();
    after(Way::Down, 2_000, first, |resumed, kept| resumed < kept / 2);
}

#[test]
fn what_is_no_text_is_dropped() {
    let zeros = |path: &Path| {
        std::fs::write(path, vec![0; 6_000_000]).unwrap();
    };
    after(Way::Down, 2_000, zeros, |resumed, _| resumed == 0);
    let ends = |path: &Path| {
        std::fs::write(path, "\n".repeat(6_000_000)).unwrap();
    };
    after(Way::Up, 2_000, ends, |resumed, _| resumed == 0);
}

#[test]
fn what_somebody_else_kept_is_of_no_use() {
    let others = |path: &Path| {
        let texts: Vec<String> = (9_000..15_000).map(|at| stone(at).to_json()).collect();
        std::fs::write(path, texts.join("\n") + "\n").unwrap();
    };
    after(Way::Up, 2_000, others, |resumed, _| resumed == 0);
}

#[test]
fn after_a_day_it_is_dropped() {
    let age = |path: &Path| {
        let day = Duration::from_secs(24 * 60 * 60 + 1);
        file(path).set_modified(SystemTime::now() - day).unwrap();
    };
    after(Way::Down, 2_000, age, |resumed, _| resumed == 0);
}

#[test]
fn what_another_process_holds_is_read_and_left_to_it() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::with_stones(way, 2_000);
        scene.is_cut(way, 700_000);
        let path = scene.one_kept();
        let held = file(&path);
        held.try_lock().unwrap();
        let before = bytes(&path);
        let (_, resumed) = scene.goes_on(way);
        assert!(resumed + 1000 > before / 2, "{way:?}: {resumed} of {before}");
        assert_eq!(bytes(&path), before, "{way:?}");
        drop(held);
        std::fs::remove_file(path).unwrap();
        scene.is_done();
    }
}

#[test]
fn where_little_may_be_staged_little_is_kept() {
    let world = World::new();
    let more = ["--max-staged-bytes", "20000000"];
    let serve = Serve::start(&world.path("server.db"), "127.0.0.1:0", &more);
    let line = Line::to(serve.addr());
    let setup = world.json("a", &["setup", "--server", &line.url, "--raw-secret"]);
    let domain = TjpAddr::parse(setup["identity"].as_str().unwrap()).unwrap();
    let scene = Scene { world, serve: Some(serve), line, domain };
    scene.space("a").put_all(&(0..7_000).map(stone).collect::<Vec<_>>()).unwrap();
    scene.is_cut(Way::Up, 3_600_000);
    let kept = bytes(&scene.one_kept());
    // Half of half: a domain leaves as much free as it takes.
    assert!((4_500_000..=5_000_000).contains(&kept), "{kept}");
    let (_, resumed) = scene.goes_on(Way::Up);
    assert!(resumed > 4_500_000, "{resumed}");
    scene.is_done();
}

#[test]
fn small_syncs_keep_nothing() {
    for way in [Way::Up, Way::Down] {
        let scene = Scene::with_stones(way, 200);
        scene.is_cut(way, 100_000);
        assert_eq!(scene.kept(), Vec::<PathBuf>::new());
        scene.line.pass();
        assert_eq!(Scene::moved(&scene.sync(), way).1, 0);
        scene.is_done();
    }
}

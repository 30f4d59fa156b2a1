//! What compressing a session's messages takes: a payload of ibGibs of about 1 KB, of which nothing
//! repeats, as one that does.
//!
//! `cargo bench --bench compression`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::{Duration, Instant};

use sync_gib::ibgib::{Environment, System};
use sync_gib::peer::compression::{LARGE_WINDOW, SMALL_WINDOW, pack_all, unpack_all};

/// How many texts a message holds, and how many messages there are.
const TEXTS: usize = 250;
const MESSAGES: usize = 40;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!(
        "{:<24} {:>7} {:>10} {:>12} {:>12}",
        "1 KB of", "window", "of plain", "µs to pack", "to unpack"
    );
    for (what, of) in KINDS {
        let mut texts = Texts::default();
        let messages: Vec<String> = (0..MESSAGES).map(|_| message(|| of(&mut texts))).collect();
        for window in [SMALL_WINDOW, LARGE_WINDOW] {
            row(what, window, &messages);
        }
    }
}

fn row(what: &str, window: u32, messages: &[String]) {
    let plain: usize = messages.iter().map(String::len).sum();
    let sent: Vec<_> = messages.iter().map(|text| (text.as_str(), None)).collect();
    let (mut packing, mut unpacking) = (Vec::new(), Vec::new());
    let mut size = 0;
    for _ in 0..5 {
        let began = Instant::now();
        let packed = pack_all(window, None, &sent).unwrap_or_default();
        packing.push(began.elapsed());
        size = packed.iter().map(Vec::len).sum();
        let began = Instant::now();
        let came = unpack_all(window, None, &packed);
        unpacking.push(began.elapsed());
        assert!(came == messages, "it does not come out as it went in");
    }
    let share = format!("{:.1} %", 100.0 * size as f64 / plain as f64);
    let each = |times| micros(times) / (TEXTS * MESSAGES) as f64;
    let (pack, unpack) = (each(packing), each(unpacking));
    println!("{what:<24} {window:>7} {share:>10} {pack:>12.2} {unpack:>12.2}");
}

fn micros(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn message(mut text: impl FnMut() -> String) -> String {
    let texts: Vec<String> =
        (0..TEXTS).map(|_| format!("{{\"ib\":\"x\",\"t\":\"{}\"}}", text())).collect();
    format!("{{\"type\":\"payload\",\"ibGibs\":[{}]}}", texts.join(","))
}

/// What texts are made of.
#[derive(Default)]
struct Texts {
    document: String,
}

type Kind = (&'static str, fn(&mut Texts) -> String);

const KINDS: [Kind; 3] = [
    ("random bytes, hex", |_| random().iter().map(|byte| format!("{byte:02x}")).collect()),
    ("random bytes, base64", |_| base64(&random())),
    ("one text, edited", |texts| {
        if texts.document.is_empty() {
            texts.document = base64(&random());
        }
        let at = usize::from(random()[0]) * 4;
        texts.document.replace_range(at..at + 4, "edit");
        texts.document.clone()
    }),
];

/// 1 KiB of random bytes.
fn random() -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    // Without random bytes there is nothing to measure.
    assert!(System::new().fill(&mut bytes).is_ok(), "the system gives no random bytes");
    bytes
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::peer::wire::MAX_MESSAGE;
use zstd::zstd_safe::{CCtx, CParameter};

fn pair(window: u32) -> (Compressor, Decompressor) {
    (Compressor::new(window, None).unwrap(), Decompressor::new(window, None).unwrap())
}

fn unpack(from: &mut Decompressor, bytes: Vec<u8>) -> Result<String, CompressionError> {
    let mut message = Arriving::new(bytes);
    while !from.unpack(&mut message)? {}
    message.into_text()
}

/// A text that does not repeat within itself; the same for the same seed.
fn text(len: usize, seed: u64) -> String {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 59) as u8 % 26)
    };
    (0..len).map(|_| next()).collect()
}

/// A segment of one frame that somebody compressed in a way of their own.
fn segment(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut stream = CCtx::create();
    stream.set_parameter(CParameter::WindowLog(window)).unwrap();
    let mut packed: Vec<u8> = Vec::with_capacity(bytes.len() + 1024);
    let mut input = zstd::zstd_safe::InBuffer::around(bytes);
    let mut output = zstd::zstd_safe::OutBuffer::around(&mut packed);
    stream.compress_stream(&mut output, &mut input).unwrap();
    while stream.flush_stream(&mut output).unwrap() > 0 {}
    head(COMPRESSED, &packed)
}

fn head(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&[kind][..], &len.to_be_bytes(), bytes].concat()
}

#[test]
fn messages_come_out_as_they_went_in_each_at_once() {
    for most in [SMALL_WINDOW, LARGE_WINDOW] {
        let (mut out, mut inc) = pair(most);
        for (len, seed) in [(1, 1), (10, 2), (PIECE, 3), (PIECE + 1, 4), (300_000, 5), (10, 6)] {
            let text = text(len, seed);
            let widens = out.wants_wider(len);
            let proof = (len > 5).then_some(2..5);
            let bytes = out.message(&text, proof.clone(), widens).unwrap();
            if let Some(proof) = proof {
                let plain = head(PLAIN, &text.as_bytes()[proof]);
                assert!(bytes.windows(plain.len()).any(|part| part == plain), "{len}");
            }
            assert_eq!(unpack(&mut inc, bytes).unwrap(), text, "{most} {len}");
        }
    }
}

#[test]
fn what_came_before_costs_nothing_as_far_as_the_window_reaches() {
    let long = 1 << 20;
    for (most, is_small) in [(SMALL_WINDOW, false), (LARGE_WINDOW, true)] {
        let (mut out, mut inc) = pair(most);
        let mut sizes = Vec::new();
        for _ in 0..2 {
            let text = text(long, 1);
            let widens = out.wants_wider(long);
            let bytes = out.message(&text, None, widens).unwrap();
            sizes.push(bytes.len());
            assert_eq!(unpack(&mut inc, bytes).unwrap(), text);
        }
        assert_eq!(sizes[1] < 2000, is_small, "{sizes:?}");
    }
}

#[test]
fn memory_is_within_what_is_taken_of_the_budget() {
    for most in [SMALL_WINDOW, LARGE_WINDOW] {
        let (mut out, mut inc) = pair(most);
        for seed in 0..12 {
            let text = text(1 << 20, seed);
            let widens = out.wants_wider(text.len());
            let bytes = out.message(&text, None, widens).unwrap();
            assert_eq!(unpack(&mut inc, bytes).unwrap(), text);
        }
        assert!(out.memory() <= compressor_bytes(most), "{most}: {}", out.memory());
        assert!(inc.memory() <= decompressor_bytes(most), "{most}: {}", inc.memory());
    }
}

#[test]
fn no_message_unpacks_to_more_than_any_may_have_nor_holds_more_meanwhile() {
    let zeros = vec![b' '; 1 << 26];
    let bytes = segment(&zeros, LARGE_WINDOW);
    assert!(bytes.len() < 1 << 13, "{}", bytes.len());
    let mut from = Decompressor::new(LARGE_WINDOW, None).unwrap();
    let mut message = Arriving::new(bytes);
    let failed = loop {
        match from.unpack(&mut message) {
            Ok(is_whole) => assert!(!is_whole),
            Err(error) => break error,
        }
        assert!(message.needs() <= 2 * (MAX_MESSAGE + PIECE) + (1 << 13));
    };
    assert_eq!(failed, CompressionError::TooLong);
    // In several segments likewise, plain ones among them.
    let half = vec![b' '; MAX_MESSAGE / 2 + 1];
    let bytes = [segment(&half, LARGE_WINDOW), head(PLAIN, &half)].concat();
    let mut from = Decompressor::new(LARGE_WINDOW, None).unwrap();
    assert_eq!(unpack(&mut from, bytes), Err(CompressionError::TooLong));
    let most = vec![b' '; MAX_MESSAGE];
    let mut from = Decompressor::new(LARGE_WINDOW, None).unwrap();
    assert_eq!(unpack(&mut from, segment(&most, LARGE_WINDOW)).unwrap().len(), MAX_MESSAGE);
}

#[test]
fn a_window_that_was_not_granted_is_refused() {
    let bytes = segment(text(100_000, 1).as_bytes(), LARGE_WINDOW);
    let mut small = Decompressor::new(SMALL_WINDOW, None).unwrap();
    assert!(matches!(unpack(&mut small, bytes.clone()), Err(CompressionError::Zstd(_))));
    assert!(small.memory() <= decompressor_bytes(SMALL_WINDOW));
    let mut large = Decompressor::new(LARGE_WINDOW, None).unwrap();
    assert!(unpack(&mut large, bytes).is_ok());
    let larger = segment(b"a", LARGE_WINDOW + 1);
    assert!(matches!(unpack(&mut large, larger), Err(CompressionError::Zstd(_))));
}

#[test]
fn what_has_another_form_is_refused_and_what_is_cut_off_is_no_text() {
    let whole = segment(br#"{"type":"need"}"#, SMALL_WINDOW);
    let zeros = head(COMPRESSED, &[0; 40]);
    let cut = |len: usize| whole[..len].to_vec();
    let forms = [vec![0], cut(4), cut(SEGMENT_HEAD), cut(whole.len() - 1), vec![0; 5], vec![2; 40]];
    let many = [head(PLAIN, b"a"), head(PLAIN, b"a"), head(PLAIN, b"a"), head(PLAIN, b"a")];
    for bytes in forms.into_iter().chain([zeros, many.concat(), head(PLAIN, b"\xff")]) {
        let mut from = Decompressor::new(SMALL_WINDOW, None).unwrap();
        assert!(unpack(&mut from, bytes.clone()).is_err(), "{bytes:?}");
    }
    // What is less than was compressed is less of a text, which nothing reads.
    let packed = &whole[SEGMENT_HEAD..whole.len() - 3];
    let mut from = Decompressor::new(SMALL_WINDOW, None).unwrap();
    let less = unpack(&mut from, head(COMPRESSED, packed)).unwrap();
    assert!(less.len() < br#"{"type":"need"}"#.len(), "{less}");
    // A stream that somebody interfered with does not go on.
    let (mut out, mut inc) = pair(SMALL_WINDOW);
    let first = out.message(&text(1000, 1), None, false).unwrap();
    let second = out.message(&text(1000, 1), None, false).unwrap();
    drop(first);
    assert!(unpack(&mut inc, second).is_err());
}

#[test]
fn a_frame_of_a_session_goes_as_what_is_new_in_it_and_stays_out_of_the_stream() {
    let frames: Vec<String> = (0..4).map(|seed| text(4000, 1) + &text(200, seed)).collect();
    let first = || Some(frames[0].clone());
    let mut out = Compressor::new(LARGE_WINDOW, first()).unwrap();
    let mut inc = Decompressor::new(LARGE_WINDOW, first()).unwrap();
    for frame in &frames[1..] {
        let text = format!("{{\"frame\":{frame}}}");
        let proof = text.len() - 1 - frame.len()..text.len() - 1;
        let bytes = out.message(&text, Some(proof), false).unwrap();
        assert!(bytes.len() < 400, "{}", bytes.len());
        assert_eq!(unpack(&mut inc, bytes).unwrap(), text);
    }
    // Without the one before it goes as it is, and so do those that follow.
    let (mut out, mut inc) = pair(SMALL_WINDOW);
    for frame in &frames {
        let text = format!("{{{frame}");
        let bytes = out.message(&text, Some(1..text.len()), false).unwrap();
        assert!(bytes.ends_with(frame.as_bytes()));
        assert_eq!(unpack(&mut inc, bytes).unwrap(), text);
    }
    // What came by another frame than the one that is here is refused.
    let bytes = head(FRAME, &pack(frames[1].as_bytes(), frames[0].as_bytes()).unwrap());
    assert!(unpack(&mut inc, bytes.clone()).is_err());
    let mut other = Decompressor::new(SMALL_WINDOW, Some(text(4000, 9))).unwrap();
    let told = unpack(&mut other, bytes);
    assert!(told.is_err() || told.unwrap() != frames[1]);
    // And so is what is longer than a frame may be, before it is unpacked.
    let long = head(FRAME, &pack(&[b' '; MAX_FRAME + 1], b"a").unwrap());
    let mut from = Decompressor::new(SMALL_WINDOW, Some("a".into())).unwrap();
    assert_eq!(unpack(&mut from, long), Err(CompressionError::TooLong));
}

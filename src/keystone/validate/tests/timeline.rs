use super::*;

#[test]
fn a_timeline_replays_from_its_genesis() {
    let (first, second) = step("sync");
    let third = revealing(&second, &[0, 1, 5, 6], &[]);
    let mut validator = TimelineValidator::new();
    for frame in [&first, &second, &third] {
        assert_eq!(validator.push(frame), []);
    }
    assert_eq!(validator.tip(), Some(&third));
    assert!(!TimelineValidator::new().push(&second).is_empty());
}

#[test]
fn an_id_that_comes_back_after_some_frames() {
    let (first, second) = step("sync");
    let id = pool_ids(&first, "sync")[0].clone();
    let third = revealing(&second, &[0, 1, 5, 6], &[]);
    let third = with_challenges(&third, "sync", |map| replace_last(map, &id));
    assert_eq!(validate_step(&second, &third), []);
    let mut validator = TimelineValidator::new();
    assert_eq!(validator.push(&first), []);
    assert_eq!(validator.push(&second), []);
    let expected = Violation::IdSeenBefore { pool: "sync".to_owned(), id };
    assert_eq!(one(validator.push(&third)), expected);
}

#[test]
fn a_broken_frame_is_not_built_on() {
    let (first, second) = step("sync");
    let broken = with_data(&second, |data| data["n"] = json!(7));
    let mut validator = TimelineValidator::new();
    assert_eq!(validator.push(&first), []);
    assert_eq!(one(validator.push(&broken)), Violation::WrongN { expected: 1 });
    assert_eq!(validator.tip(), Some(&first));
    assert_eq!(validator.push(&second), []);
}

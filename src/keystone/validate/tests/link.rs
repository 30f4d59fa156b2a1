use super::*;

fn addr(frame: &IbGib) -> String {
    format!("{}^{}", frame.ib, frame.gib)
}

fn with_rel8d(frame: &IbGib, name: &str, rel8ds: &[&str]) -> IbGib {
    edited(frame, |frame| {
        frame.rel8ns.as_mut().unwrap().insert(name.to_owned(), json!(rel8ds));
    })
}

#[test]
fn wrong_gib() {
    let (prev, mut curr) = step("sync");
    let right = std::mem::replace(&mut curr.gib, prev.gib.clone());
    assert_eq!(only(&prev, &curr), Violation::WrongGib { computed: right });
}

#[test]
fn wrong_ib() {
    let (prev, curr) = step("sync");
    let other = edited(&curr, |frame| frame.ib = "keystones".to_owned());
    assert_eq!(only(&prev, &other), Violation::NotKeystone);
}

#[test]
fn wrong_n() {
    let (prev, curr) = step("sync");
    for n in [json!(0), json!(2), json!(1.5), json!("1"), Value::Null] {
        let other = with_data(&curr, |data| data["n"] = n);
        assert_eq!(only(&prev, &other), Violation::WrongN { expected: 1 });
    }
}

#[test]
fn wrong_past() {
    let (prev, curr) = step("sync");
    let expected = || Violation::WrongPast { expected: addr(&prev) };
    let (other, prev_addr) = (addr(&testing::keystone()), addr(&prev));
    let (other, prev_addr) = (other.as_str(), prev_addr.as_str());
    for past in [&[][..], &[other], &[prev_addr, other], &[other, prev_addr]] {
        assert_eq!(only(&prev, &with_rel8d(&curr, "past", past)), expected());
    }
}

#[test]
fn a_past_may_be_listed_whole() {
    let (first, second) = step("sync");
    let third = revealing(&second, &[0, 1, 2, 3], &[]);
    let whole = with_rel8d(&third, "past", &[&addr(&first), &addr(&second)]);
    assert_eq!(validate_step(&second, &third), []);
    assert_eq!(validate_step(&second, &whole), []);
}

#[test]
fn another_tjp() {
    let (prev, curr) = step("sync");
    let other = addr(&testing::keystone());
    let expected = || Violation::WrongTjp { expected: addr(&prev) };
    assert_eq!(only(&prev, &with_rel8d(&curr, "tjp", &[&other])), expected());
    assert_eq!(only(&prev, &with_rel8d(&curr, "tjp", &[])), expected());
    assert_eq!(only(&prev, &with_rel8d(&curr, "tjp", &[&other, &addr(&prev)])), expected());
}

#[test]
fn another_ancestor_or_relation() {
    let (prev, curr) = step("sync");
    let other = with_rel8d(&curr, "ancestor", &["other^gib"]);
    assert_eq!(only(&prev, &other), Violation::WrongAncestor);
    let other = with_rel8d(&curr, "friend", &["x^gib"]);
    assert_eq!(only(&prev, &other), Violation::ExtraRelation("friend".to_owned()));
}

#[test]
fn a_changed_uuid() {
    let (prev, curr) = step("sync");
    let other = with_data(&curr, |data| data["uuid"] = json!("another"));
    assert_eq!(only(&prev, &other), Violation::UuidChanged);
}

#[test]
fn an_extra_key() {
    let (prev, curr) = step("sync");
    for key in ["extra", "isTjp"] {
        let other = with_data(&curr, |data| data[key] = json!(true));
        assert_eq!(only(&prev, &other), Violation::ExtraKey(key.to_owned()));
    }
    let good = with_data(&curr, |data| data["frameDetails"] = json!({ "any": "thing" }));
    assert_eq!(validate_step(&prev, &good), []);
}

#[test]
fn a_timestamp_that_is_none() {
    let (prev, curr) = step("sync");
    let other = with_data(&curr, |data| data["timestamp"] = json!(1));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
    let other = with_data(&curr, |data| data["timestampMs"] = json!("1"));
    assert!(matches!(only(&prev, &other), Violation::Malformed(_)));
}

#[test]
fn timestamps_need_not_grow() {
    let (prev, curr) = step("sync");
    let other = with_data(&curr, |data| data["timestamp"] = json!("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(validate_step(&prev, &other), []);
}

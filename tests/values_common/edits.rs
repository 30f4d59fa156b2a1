//! Random edits of one frame: fields, lists, texts, renames, removals, relations, whole forms.

use serde_json::{Map, Value, json};
use sync_gib::ibgib::IbGib;

use super::world::{BOOKKEEPING, World};
use crate::judge_common::Random;

#[derive(Debug)]
pub enum Change {
    Set(Value),
    Remove(Value),
    Rename(String, String),
    Ib(String),
    Relate(String),
    Part(String),
    /// What is set without dna.
    ByHand(Value),
}

/// Fields that hold one value, as a rule.
const FIELDS: [&[&str]; 9] = [
    &["title"],
    &["done"],
    &["none"],
    &["note"],
    &["a"],
    &["b"],
    &["o", "x"],
    &["o", "new"],
    &["o", "deep", "q"],
];
const TEXTS: [&[&str]; 3] = [&["text"], &["o", "body"], &["story"]];
/// Lists, by what their elements are told apart.
const LISTS: [(&str, &str); 3] = [("items", "id"), ("people", "uuid"), ("rows", "id")];
const KEYS: [&str; 8] = ["title", "a", "b", "c", "o", "tags", "items", "story"];

/// The data of the common frame.
pub fn first() -> Value {
    json!({
        "title": "first title", "done": false, "none": null, "note": "a note", "a": 1, "b": "bee",
        "o": {"x": 2, "y": 3, "deep": {"q": 4, "r": 5}, "body": "one\ntwo\nthree\n"},
        "tags": ["red", "green", "blue"],
        "items": [
            {"id": "i1", "name": "milk", "done": false},
            {"id": "i2", "name": "eggs", "done": false},
            {"id": "i3", "name": "bread", "done": true},
        ],
        "people": [{"uuid": "u1", "name": "ann"}, {"uuid": "u2", "name": "bob", "age": 7}],
        "rows": [{"id": 1, "v": 10}, {"id": 2, "v": 20}],
        "text": "alpha beta\n\ngamma delta\n\nepsilon zeta",
        "story": "once upon\na time\nthere was\n",
    })
}

pub fn random(world: &mut World, tip: &IbGib, random: &mut Random) -> Change {
    let data = tip.data.as_ref().and_then(Value::as_object).unwrap().clone();
    let mut edit = Editing { world, data, random };
    match edit.random.below(100) {
        0..28 => edit.field(),
        28..33 => edit.set_back(),
        33..42 => edit.remove(),
        42..46 => edit.another_type(),
        46..54 => edit.sequence(),
        54..68 => edit.element(),
        68..82 => edit.text(),
        82..88 => edit.whole_form(),
        88..91 => edit.by_hand(),
        91..94 => Change::Ib((*edit.random.pick(&["doc", "doc two", "doc three"])).to_owned()),
        94..98 => edit.relation(tip),
        _ => edit.rename(),
    }
}

struct Editing<'a> {
    world: &'a mut World,
    data: Map<String, Value>,
    random: &'a mut Random,
}

impl Editing<'_> {
    fn unique(&mut self) -> u64 {
        self.world.count += 1;
        self.world.count
    }

    fn scalar(&mut self) -> Value {
        let unique = self.unique();
        match self.random.below(20) {
            0..8 => json!(unique),
            8..15 => json!(format!("w{unique}")),
            15 => json!(true),
            16 => json!(false),
            17 => json!(format!("w{unique} {}", "long ".repeat(250))),
            18 => json!("both might say this"),
            _ => Value::Null,
        }
    }

    /// Sets a path, whose parents may be gone or no objects.
    fn set(&self, path: &[&str], value: Value) -> Change {
        let now = path.iter().try_fold(&Value::Null, |at, key| match at {
            Value::Null => self.data.get(*key),
            at => at.get(key),
        });
        // A patch cannot put null in the place of an object.
        let value = match (now, value) {
            (Some(Value::Object(_)), Value::Null) => json!("no object"),
            (_, value) => value,
        };
        Change::Set(path.iter().rev().fold(value, |value, key| json!({*key: value})))
    }

    fn field(&mut self) -> Change {
        let path = *self.random.pick(&FIELDS);
        let value = self.scalar();
        self.set(path, value)
    }

    fn set_back(&mut self) -> Change {
        let path = *self.random.pick(&FIELDS);
        let first = first();
        let was = path.iter().try_fold(&first, |at, key| at.get(key)).cloned();
        match was {
            Some(was) => self.set(path, was),
            None => self.removal(path),
        }
    }

    fn remove(&mut self) -> Change {
        let mut paths: Vec<&[&str]> = FIELDS.to_vec();
        paths.extend::<[&[&str]; 6]>([
            &["o"],
            &["tags"],
            &["items"],
            &["text"],
            &["story"],
            &["c"],
        ]);
        let path = *self.random.pick(&paths);
        self.removal(path)
    }

    /// Removes a path, or what stands in its way: nothing in a value that is no object can be.
    fn removal(&self, path: &[&str]) -> Change {
        let mut at = self.data.get(path[0]);
        for depth in 1..path.len() {
            if !at.is_some_and(Value::is_object) {
                return Change::Remove(nested(&path[..depth], json!("")));
            }
            at = at.and_then(|at| at.get(path[depth]));
        }
        Change::Remove(nested(path, json!("")))
    }

    /// An object in the place of a value, or a value in that of an object.
    fn another_type(&mut self) -> Change {
        let unique = self.unique();
        match self.random.below(4) {
            0 => self.set(&["a"], json!({"k": unique})),
            1 => self.set(&["a"], json!({"m": unique, "k": 9})),
            2 => self.set(&["o"], json!(unique)),
            _ => self.set(&["b"], json!([unique])),
        }
    }

    fn sequence(&mut self) -> Change {
        let mut tags = self.data.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let new = json!(format!("w{}", self.unique()));
        let at = self.random.below(tags.len() + 1);
        match self.random.below(4) {
            0 => tags.push(new),
            1 => tags.insert(at, new),
            2 if at < tags.len() => tags[at] = new,
            _ if at < tags.len() => drop(tags.remove(at)),
            _ => tags.push(new),
        }
        Change::Set(json!({"tags": tags}))
    }

    fn element(&mut self) -> Change {
        let (name, by) = *self.random.pick(&LISTS);
        let mut list = self.data.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let value = self.scalar();
        let at = self.random.below(list.len() + 1);
        match self.random.below(6) {
            0 if at < list.len() => drop(list.remove(at)),
            1..5 if at < list.len() => {
                let key = *self.random.pick(&["name", "done", "v", "more"]);
                match list[at].as_object_mut() {
                    Some(element) if self.random.chance(15) => drop(element.shift_remove(key)),
                    Some(element) => drop(element.insert(key.to_owned(), value)),
                    None => {}
                }
            }
            _ => {
                let new = self.random.within(7, 9);
                let id = if name == "rows" { json!(new) } else { json!(format!("n{new}")) };
                if list.iter().all(|element| element.get(by) != Some(&id)) {
                    list.push(json!({by: id, "name": value}));
                }
            }
        }
        Change::Set(json!({name: list}))
    }

    fn text(&mut self) -> Change {
        let path = *self.random.pick(&TEXTS);
        let text = path.iter().skip(1).fold(self.data.get(path[0]), |at, key| at?.get(key));
        let text = text.and_then(Value::as_str).unwrap_or_default().to_owned();
        let new = format!("w{}", self.unique());
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = self.random.below(lines.len() + 1);
        match self.random.below(5) {
            0 => lines.push(format!("{new} at the end")),
            1 => lines.insert(at, format!("{new} between")),
            2 if at < lines.len() => drop(lines.remove(at)),
            3 if at < lines.len() => lines[at] = format!("{} {new}", lines[at]),
            4 if at < lines.len() => {
                let word = lines[at].split(' ').next().unwrap_or_default().to_owned();
                lines[at] = lines[at].replacen(&word, &new, 1);
            }
            _ => lines.push(new),
        }
        let end = if text.ends_with('\n') { "\n" } else { "" };
        self.set(path, json!(lines.join("\n") + end))
    }

    /// Every field as it is, but for one.
    fn whole_form(&mut self) -> Change {
        let mut form = self.data.clone();
        form.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
        let path = *self.random.pick(&FIELDS[..6]);
        if !form.get(path[0]).is_some_and(Value::is_object) {
            form.insert(path[0].to_owned(), self.scalar());
        }
        Change::Set(Value::Object(form))
    }

    fn by_hand(&mut self) -> Change {
        let path = *self.random.pick(&FIELDS[..6]);
        Change::ByHand(json!({path[0]: self.scalar()}))
    }

    fn relation(&mut self, tip: &IbGib) -> Change {
        let stone = self.random.pick(&self.world.stones).as_str().to_owned();
        match tip.rel8d("see").any(|rel8d| rel8d == stone) {
            true => Change::Part(stone),
            false => Change::Relate(stone),
        }
    }

    fn rename(&mut self) -> Change {
        let (from, to) = (*self.random.pick(&KEYS), *self.random.pick(&KEYS));
        Change::Rename(from.to_owned(), if from == to { "d" } else { to }.to_owned())
    }
}

fn nested(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| json!({*key: value}))
}

//! Lists: identified elements one by one, others as sequences.

use serde_json::Value;

use super::super::path::{Path, Step, identity, is_told_apart, with};
use super::{Field, Judge, LIST, UNLISTED};

impl Judge<'_> {
    pub(super) fn array(&mut self, path: &Path, field: Field<'_>, [kept, replayed]: [&[Value]; 2]) {
        let list = |value: Option<&'_ Value>| -> Vec<Value> {
            value.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (common, result) = (list(field.common), list(field.result));
        if !field.result.is_some_and(Value::is_array) {
            return self.wrong(UNLISTED, path);
        }
        if let Some(by) = identity(&[&common, kept, replayed]) {
            if !is_told_apart(&result, by) {
                return self.wrong(LIST, path);
            }
            let mut ids: Vec<&Value> = Vec::new();
            let all = [&common[..], kept, replayed, &result];
            for id in all.into_iter().flatten().filter_map(|element| element.get(by)) {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            for id in ids {
                let step = Step::Element(by, id.clone());
                self.field(&with(path, step.clone()), field.at(&step));
            }
            return;
        }
        let count =
            |list: &[Value], element: &Value| list.iter().filter(|other| *other == element).count();
        for element in common.iter().chain(kept).chain(replayed).chain(&result) {
            let [of_common, of_kept, of_replayed] =
                [&common[..], kept, replayed].map(|list| count(list, element));
            if of_common.max(of_kept).max(of_replayed) > 1 {
                continue;
            }
            let few = match (of_common, of_kept, of_replayed) {
                (0, 1, 1) => [1, 2],
                (0, one, two) => [one + two; 2],
                (_, one, two) => [one * two; 2],
            };
            if !few.contains(&count(&result, element)) {
                self.wrong(LIST, path);
            }
        }
        for side in [kept, replayed] {
            let place = |element: &&Value| result.iter().position(|other| other == *element);
            let once = |element: &&Value| count(&result, element) == 1 && count(side, element) == 1;
            let places: Vec<usize> = side.iter().filter(once).filter_map(|e| place(&e)).collect();
            if !places.is_sorted() {
                self.wrong(LIST, path);
            }
        }
    }
}

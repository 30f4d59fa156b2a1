//! Assertions, gathered as a row makes them.

use std::fmt::Display;

use super::error::VerifyError;

/// What was asserted, and how it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// What about.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether it holds.
    pub ok: bool,
}

/// The assertions of one row. One that fails does not end the row.
#[derive(Debug, Default)]
pub struct Checks(Vec<Assertion>);

impl Checks {
    /// Asserts that two things read the same.
    pub fn equal(&mut self, what: impl Display, expected: impl Display, found: impl Display) {
        let (expected, found) = (expected.to_string(), found.to_string());
        let ok = expected == found;
        self.0.push(Assertion { what: what.to_string(), expected, found, ok });
    }

    /// Asserts that something was found to be as `expected` describes it; else `found` tells what
    /// is wrong.
    pub fn holds(&mut self, what: impl Display, expected: &str, found: Result<(), impl Display>) {
        let ok = found.is_ok();
        let found = found.map_or_else(|wrong| wrong.to_string(), |()| expected.to_owned());
        let (what, expected) = (what.to_string(), expected.to_owned());
        self.0.push(Assertion { what, expected, found, ok });
    }

    /// Asserts that a condition is true; `found` tells what it was made of.
    pub fn is_true(&mut self, what: impl Display, expected: &str, is: bool, found: impl Display) {
        self.holds(what, expected, if is { Ok(()) } else { Err(found) });
    }

    /// Notes that a row broke off.
    pub(super) fn ended(&mut self, ended: Result<(), VerifyError>) {
        if let Err(error) = ended {
            self.holds("the row runs to its end", "no error", Err(error));
        }
    }

    /// The assertions, in the order in which they were made.
    pub(super) fn into_list(self) -> Vec<Assertion> {
        self.0
    }
}

/// Things as one text, for an assertion about all of them.
pub(super) fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

/// What may be absent, as text.
pub(super) fn shown<T: Display>(item: Option<T>) -> String {
    item.map_or_else(|| "absent".to_owned(), |item| item.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_fail_where_they_do_not_hold() {
        let mut checks = Checks::default();
        checks.equal("a", 1, 1);
        checks.equal("b", 1, 2);
        checks.holds("c", "whole", Err("broken"));
        checks.is_true("d", "yes", false, "no");
        checks.ended(Err(VerifyError::Serve("gone".into())));
        let list = checks.into_list();
        let ok: Vec<bool> = list.iter().map(|assertion| assertion.ok).collect();
        assert_eq!(ok, [true, false, false, false, false]);
        assert_eq!((list[1].expected.as_str(), list[1].found.as_str()), ("1", "2"));
        assert_eq!(list[2].found, "broken");
        assert!(list[4].found.contains("gone"));
    }
}

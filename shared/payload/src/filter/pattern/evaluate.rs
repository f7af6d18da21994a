//! Whether a pattern holds for a document.
//!
//! A condition looks at every value that stands at its place; in arrays of objects, all conditions below the array's name must hold for
//! one and the same element ([array-consistent matching](https://github.com/aws/event-ruler#json-array-matching)). Only `exists: false`
//! asks for nothing to be there: in the element in which the other conditions hold, and where there are no others, in none.

use std::sync::Arc;

use super::{Field, Node, Tests};
use crate::filter::document::Value;

/// How conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Not,
    /// Because nothing is there.
    ByAbsence,
    /// By a value that is there.
    ByValue,
}

impl Node {
    /// Whether the conditions hold for this document.
    pub(super) fn holds(&self, document: &Value<'_, '_>) -> bool {
        self.held(Some(document)) != Held::Not
    }

    fn held(&self, value: Option<&Value<'_, '_>>) -> Held {
        if self.0.is_empty() {
            return Held::ByAbsence;
        }
        let Some(Value::List(elements)) = value else {
            return self.held_by(value);
        };
        if elements
            .iter()
            .any(|element| self.held_by(Some(element)) == Held::ByValue)
        {
            return Held::ByValue;
        }
        if self.all_absent(&elements.iter().collect::<Vec<_>>()) {
            return Held::ByAbsence;
        }
        Held::Not
    }

    /// The names that lead to a condition which keeps these from holding, where they do not: in an array of objects to one that no element
    /// meets, or to the array where no one element meets all.
    pub(in crate::filter) fn first_unmet<'n>(&'n self, value: Option<&Value<'_, '_>>, path: &mut Vec<&'n str>) {
        for (name, field) in &self.0 {
            let alone = Self(vec![(Arc::clone(name), field.clone())]);
            if alone.held(value) != Held::Not {
                continue;
            }
            path.push(name);
            let below = value.and_then(|value| value.all_under(name));
            if field
                .tests
                .iter()
                .all(|tests| held_by_scalars(tests, below.as_ref()) != Held::Not)
            {
                field.nested.first_unmet(below.as_ref(), path);
            }
            return;
        }
    }

    /// Of one object. What is no object has no fields.
    fn held_by(&self, object: Option<&Value<'_, '_>>) -> Held {
        let mut held = Held::ByAbsence;
        for (name, Field { nested, tests }) in &self.0 {
            let value = object.and_then(|object| object.get(name));
            let lists = tests.iter().map(|tests| held_by_scalars(tests, value));
            // No conditions hold by absence, and so change nothing.
            for here in lists.chain([nested.held(value)]) {
                if here == Held::Not {
                    return Held::Not;
                }
                held = held.max(here);
            }
        }
        held
    }

    /// Whether the conditions hold by absence in all of these at once.
    fn all_absent(&self, objects: &[&Value<'_, '_>]) -> bool {
        self.0.iter().all(|(name, Field { nested, tests })| {
            let values: Vec<_> = objects.iter().filter_map(|object| object.get(name)).collect();
            let elements = values.iter().flat_map(|value| match value {
                Value::List(elements) => elements.as_slice(),
                other => std::slice::from_ref(*other),
            });
            let nothing = values.iter().all(|value| value.scalars().next().is_none());
            tests.iter().all(|tests| nothing && tests.ask_for_absence())
                && nested.all_absent(&elements.collect::<Vec<_>>())
        })
    }
}

fn held_by_scalars(tests: &Tests, value: Option<&Value<'_, '_>>) -> Held {
    let mut nothing = true;
    for scalar in value.into_iter().flat_map(Value::scalars) {
        nothing = false;
        if tests.pass(scalar) {
            return Held::ByValue;
        }
    }
    if nothing && tests.ask_for_absence() {
        return Held::ByAbsence;
    }
    Held::Not
}

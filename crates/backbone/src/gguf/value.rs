//! Metadata values and what is asked of them.

use std::collections::BTreeMap;

/// A value of the metadata; integers of all widths are one kind each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f32),
    Double(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    fn count(&self) -> Option<usize> {
        match *self {
            Self::Unsigned(n) => n.try_into().ok(),
            Self::Signed(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// A number with a point. One of 32 bits is taken as the shortest decimal that stands for it: what was written as
    /// 1e-5 is 1e-5 again, not 9.999999747378752e-6.
    fn real(&self) -> Option<f64> {
        match *self {
            Self::Float(x) => x.to_string().parse().ok(),
            Self::Double(x) => Some(x),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Typed look-ups; what is there and of another kind is an error that names the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a>(pub(crate) &'a BTreeMap<String, Value>);

impl<'a> Keys<'a> {
    /// A number that counts something.
    pub(crate) fn count(self, key: &str) -> Result<Option<usize>, String> {
        self.get(key, "a whole number", Value::count)
    }

    /// As [`count`](Self::count), of a key that must be there.
    pub(crate) fn needed_count(self, key: &str) -> Result<usize, String> {
        self.count(key)?.ok_or_else(|| format!("lacks the key {key:?}"))
    }

    pub(crate) fn real(self, key: &str) -> Result<Option<f64>, String> {
        self.get(key, "a number with a point", Value::real)
    }

    pub(crate) fn flag(self, key: &str) -> Result<Option<bool>, String> {
        let flag = |value: &'a Value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        };
        self.get(key, "a truth value", flag)
    }

    pub(crate) fn text(self, key: &str) -> Result<Option<&'a str>, String> {
        self.get(key, "a text", Value::text)
    }

    pub(crate) fn texts(self, key: &str) -> Result<Option<Vec<&'a str>>, String> {
        self.list(key, "a list of texts", Value::text)
    }

    pub(crate) fn counts(self, key: &str) -> Result<Option<Vec<usize>>, String> {
        self.list(key, "a list of whole numbers", Value::count)
    }

    /// Numbers of 32 bits, as they are.
    pub(crate) fn floats(self, key: &str) -> Result<Option<Vec<f32>>, String> {
        let float = |value: &'a Value| match value {
            Value::Float(x) => Some(*x),
            _ => None,
        };
        self.list(key, "a list of numbers with a point", float)
    }

    fn list<T>(
        self,
        key: &str,
        what: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, String> {
        self.get(key, what, |value| match value {
            Value::List(values) => values.iter().map(&convert).collect(),
            _ => None,
        })
    }

    fn get<T>(
        self,
        key: &str,
        what: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| format!("the key {key:?} is not {what}")),
        }
    }
}

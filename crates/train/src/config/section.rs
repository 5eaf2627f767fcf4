//! How a key is declared: once, in a section, with its type, default, range, role and meaning.
//!
//! [`section!`] makes of a declaration the struct that a file is read into, its defaults, and a walk over its keys.
//! The walk checks ranges, knows what a resumed run must have unchanged, and writes `docs/config.md`.

use pair2score_data::Columns;

use super::error::Problems;
use super::values::{Leaf, Range};

/// Declares a section of the configuration.
///
/// ```text
/// /// What the section is about.
/// pub struct Section {
///     /// What the key means.
///     field as "key_in_the_file": Type = default => Range, Role, Added;
///     /// What the section within the section is about.
///     inner: Inner = default;
/// }
/// ```
///
/// `as "…"` stands where the field is not called like its key, `Added` where published configurations lack the key.
macro_rules! section {
    (@declared $meaning:expr) => {
        section!(@declared $meaning, Any, Free)
    };
    (@declared $meaning:expr, $range:expr, $role:ident) => {
        $crate::config::section::Declared {
            meaning: $meaning,
            range: $range,
            role: $crate::config::section::Role::$role,
            added: false,
        }
    };
    (@declared $meaning:expr, $range:expr, $role:ident, Added) => {
        $crate::config::section::Declared { added: true, ..section!(@declared $meaning, $range, $role) }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (
        $(#[doc = $about:literal])+
        pub struct $section:ident {
            $(
                $(#[doc = $meaning:literal])+
                $(#[serde($($serde:tt)+)])?
                $field:ident $(as $key:literal)?: $type:ty = $default:expr
                    $(=> $range:expr, $role:ident $(, $added:ident)?)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $section {
            $(
                $(#[doc = $meaning])+
                $(#[serde($($serde)+)])?
                $(#[serde(rename = $key)])?
                pub $field: $type,
            )+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::config::section::Node for $section {
            fn walk(
                &self,
                place: &str,
                declared: &$crate::config::section::Declared,
                walk: &mut $crate::config::section::Walk,
            ) {
                #[allow(unused_imports, reason = "a section may have only keys of any value")]
                use $crate::config::values::Range::{Any, Count, Number, Required};
                walk.section(place, declared);
                $(
                    let declared =
                        section!(@declared concat!($($meaning),+) $(, $range, $role $(, $added)?)?);
                    let key = walk.below(place, section!(@key $field $($key)?));
                    $crate::config::section::Node::walk(&self.$field, &key, &declared, walk);
                )+
            }
        }
    };
}
pub(super) use section;

/// What a key says beside its name, type and default.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) meaning: &'static str,
    pub(super) range: Range,
    pub(super) role: Role,
    /// Whether published configurations lack the key.
    pub(super) added: bool,
}

/// What a key means to a stage that was stopped and goes on, or is over and is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Results depend on it: it has to be what it was.
    Same,
    /// No result depends on it.
    Free,
    /// It names a file or folder, whose contents have to be what they were.
    File,
    /// Nothing reads it: it is accepted because published configurations have it.
    NoEffect,
}

/// A key as a reader of the documentation sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// With the names of its sections, as in `model.pooling`.
    pub(super) name: String,
    pub(super) meaning: String,
    /// The values it takes, in words.
    pub(super) values: String,
    /// Its value in JSON; `None` where one must be given and is not.
    pub(super) value: Option<String>,
    pub(super) role: Role,
    pub(super) added: bool,
}

/// What a walk over the keys of a configuration finds, in their order.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Names of sections, and what they are about.
    pub(super) sections: Vec<(String, String)>,
    pub(super) keys: Vec<Key>,
    pub(super) problems: Problems,
}

impl Walk {
    /// The keys of a configuration of this type, with their defaults.
    pub(super) fn of_defaults<T: Node + Default>() -> Self {
        Self::over(&T::default())
    }

    pub(super) fn over(configuration: &impl Node) -> Self {
        let mut walk = Self::default();
        let whole = Declared { meaning: "", range: Range::Any, role: Role::Free, added: false };
        configuration.walk("", &whole, &mut walk);
        walk
    }

    pub(super) fn section(&mut self, place: &str, declared: &Declared) {
        if !place.is_empty() {
            self.sections.push((place.to_owned(), declared.meaning.trim().to_owned()));
        }
    }

    pub(super) fn below(&self, place: &str, key: &str) -> String {
        if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
    }

    fn key<T: Leaf>(&mut self, name: &str, value: &T, declared: &Declared) {
        let problem = value.problem(&declared.range);
        let is_missing = problem.is_some() && matches!(declared.range, Range::Required(_));
        if let Some(problem) = problem {
            self.problems.add(name, problem);
        }
        self.keys.push(Key {
            name: name.to_owned(),
            meaning: declared.meaning.trim().to_owned(),
            values: T::words(&declared.range),
            value: serde_json::to_string(value).ok().filter(|_| !is_missing),
            role: declared.role,
            added: declared.added,
        });
    }
}

/// A section, or the value of a key.
pub(super) trait Node {
    /// Adds the keys at `place` and what is wrong with their values.
    fn walk(&self, place: &str, declared: &Declared, walk: &mut Walk);
}

impl<T: Leaf> Node for T {
    fn walk(&self, place: &str, declared: &Declared, walk: &mut Walk) {
        walk.key(place, self, declared);
    }
}

/// Keys of a section whose struct is declared in another crate.
macro_rules! keys_of {
    ($section:expr, $place:expr, $walk:expr, $($key:ident: $range:expr, $meaning:expr;)+) => {
        $(
            let declared = Declared { meaning: $meaning, range: $range, role: Role::Same, added: true };
            let key = $walk.below($place, stringify!($key));
            $section.$key.walk(&key, &declared, $walk);
        )+
    };
}

impl Node for Columns {
    fn walk(&self, place: &str, declared: &Declared, walk: &mut Walk) {
        walk.section(place, declared);
        keys_of!(self, place, walk,
            id: Range::Any, "Identifies a document; unique.";
            text: Range::Any, "The document itself.";
            prompt: Range::Any, "The task or question that the document answers, which is read before it; `null` where \
                                 there is none.";
            fold: Range::Any, "The fold that the document belongs to.";
            label: Range::Any, "The grade that people gave; `null` means the column called like the trait.";
            label_se: Range::Any, "The standard error of the grade: a document counts by one over its square in the loss \
                                   of stage 2. `null` counts all alike.";
            second_rating: Range::Any, "A grade that somebody else gave. Nothing learns from it: it says how far two people \
                                        agree, and how far a scorer can then agree with one of them.";
        );
        let columns = [
            ("id", Some(&self.id)),
            ("text", Some(&self.text)),
            ("prompt", self.prompt.as_ref()),
            ("fold", Some(&self.fold)),
            ("label", self.label.as_ref()),
            ("label_se", self.label_se.as_ref()),
            ("second_rating", self.second_rating.as_ref()),
        ];
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (key, name) in columns {
            let (key, Some(name)) = (walk.below(place, key), name) else { continue };
            if name.trim().is_empty() {
                walk.problems.add(&key, "an empty name, give the name of the column");
            } else if let Some((other, _)) = seen.iter().find(|(_, seen)| seen == name) {
                walk.problems.add(&key, format!("{name:?} is also {other}, name different columns"));
            }
            seen.push((key, name));
        }
    }
}

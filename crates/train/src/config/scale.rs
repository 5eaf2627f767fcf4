//! The scale of a configuration: grades, an interval, or whatever the labels say.

use std::fmt;

use pair2score_data::{Interval, ScoreScale};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::error::Problems;
use super::section::section;
use super::source::Given;
use super::values::ABOVE_0;

section! {
    /// What a label can be.
    pub struct ScaleSettings {
        /// The lowest label.
        min: f64 = 1.0 => Any, Same, Added;
        /// The highest label; with grades, a whole number of steps above `min`.
        max: f64 = 5.0 => Any, Same, Added;
        /// The distance of neighbouring grades, of which there are 2 to 1000; thirds may be written 0.33. `null`, or nothing
        /// beside both `min` and `max`, makes the scale continuous: labels are any numbers between, there are no grades
        /// and no kappas, and R² stands where kappa would.
        step: Option<f64> = Some(0.5) => ABOVE_0, Same, Added;
        /// A continuous scale from the lowest to the highest label that stage 2 learns from, which a run records as `min` and
        /// `max`. Other labels may lie beyond.
        auto: bool = false => Any, Same, Added;
    }
}

impl ScaleSettings {
    /// The scale; where `auto` is set and no labels were read, its ends mean nothing yet.
    pub fn get(&self) -> ScoreScale {
        let Self { min, max, step, auto: observed } = *self;
        match step {
            Some(step) => ScoreScale::graded(min, max, step),
            None => ScoreScale::Continuous(Interval { min, max, observed }),
        }
    }

    /// Takes the ends of a scale that the labels decided.
    pub(super) fn record(&mut self, scale: &ScoreScale) {
        (self.min, self.max) = (scale.min(), scale.max());
    }

    /// Checks the scale, and gives it its one spelling.
    pub(super) fn resolve(&mut self, problems: &mut Problems) {
        let scale = self.get();
        match scale.validate() {
            Err(error) if !self.auto => problems.add_plain(error.to_string().replace("; ", ", ")),
            _ => {}
        }
        self.record(&scale);
        self.step = scale.grades().map(|grades| grades.step);
    }

    /// Decides which kind of scale is meant, by what the file says and what it leaves out.
    pub(super) fn complete(&mut self, given: &Given, problems: &mut Problems) {
        let says = |key: &str| given.contains("scale", key);
        if self.auto && says("step") {
            problems.add("scale.step", "given, but scale.auto asks for a scale without grades, remove one");
        }
        if self.auto || (says("min") && says("max") && !says("step")) {
            self.step = None;
        }
    }
}

/// A section of keys, or the word `auto`.
pub(super) fn scale_or_auto<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScaleSettings, D::Error> {
    struct ScaleVisitor;
    impl<'de> Visitor<'de> for ScaleVisitor {
        type Value = ScaleSettings;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a section of keys, or auto")
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<ScaleSettings, E> {
            match word {
                "auto" => Ok(ScaleSettings { auto: true, ..ScaleSettings::default() }),
                _ => Err(E::invalid_type(Unexpected::Str(word), &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<ScaleSettings, A::Error> {
            ScaleSettings::deserialize(MapAccessDeserializer::new(keys))
        }
    }
    deserializer.deserialize_any(ScaleVisitor)
}

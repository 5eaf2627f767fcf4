//! `scorer.json`.

use std::path::Path;

use pair2score_data::Grades;
use pair2score_scorer::{ScorerSettings, write_scorer_settings};

use super::file;

pub(super) fn check(input: &[u8], folder: &Path) {
    let path = file(folder, "scorer.json", input);
    let Ok(settings) = ScorerSettings::read(&path) else { return };
    settings.traits.iter().filter_map(|of| of.scale.grades()).for_each(grades_can_be_told_apart);
    for head in settings.score.iter().flat_map(|score| &score.heads) {
        assert!(head.link.n_outputs() >= 1);
    }
    write_scorer_settings(folder, &settings).expect("what was read can be written");
    assert_eq!(ScorerSettings::read(&path).expect("what we wrote can be read"), settings);
}

fn grades_can_be_told_apart(scale: &Grades) {
    let grades = scale.all();
    assert_eq!(grades.len(), scale.n_grades());
    assert!(grades.is_sorted_by(|one, next| one < next), "{scale}: {grades:?}");
    for (index, &grade) in grades.iter().enumerate() {
        assert_eq!(scale.index_nearest(grade), index, "{scale}");
        assert_eq!(scale.index_floor(grade), index, "{scale}");
        assert!(scale.contains(grade), "{scale}");
    }
}

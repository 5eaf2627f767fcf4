//! What unseen documents say of scores: the paragraphs of a card about calibrations and intervals.

use pair2score_scorer::{Anchors, Calibration, Intervals, TraitSettings};

use crate::{Format, Options};

/// What the calibration is, where it is applied, and the numbers for whoever applies it.
pub(super) fn calibrations(traits: &[TraitSettings], options: &Options) -> String {
    let applied = match (options.format, options.calibrated) {
        (Format::HuggingFace, _) => {
            "`pair2score score --calibrated` applies it, raw scores are what it gives otherwise; `scorer.json` holds it."
        }
        (Format::Web, _) => "The page shows it beside the raw score.",
        (_, true) => {
            "It is part of the model: the scores are calibrated ones, in rubric units and on the scale."
        }
        (_, false) => {
            "The model gives raw scores. `pair2score export --calibrated` makes calibration a part of it."
        }
    };
    let said = |of: &TraitSettings| {
        let of_trait = if traits.len() > 1 { format!("{}: ", of.target) } else { String::new() };
        of.calibration.as_ref().map(|calibration| knots_text(&of_trait, calibration))
    };
    let lines: Vec<String> = traits.iter().filter_map(said).collect();
    format!(
        "Raw scores are spread less than the grades of people. Documents that did not decide the scores say how to \
         correct that. {applied}\n\n{}",
        lines.join("\n")
    )
}

/// The numbers of a calibration, as items of a list.
fn knots_text(of_trait: &str, calibration: &Calibration) -> String {
    let numbers = |list: &mut dyn Iterator<Item = f64>| {
        list.map(|number| format!("{number:.4}")).collect::<Vec<_>>().join(", ")
    };
    let [raw, calibrated] = [0, 1].map(|side| numbers(&mut calibration.knots.iter().map(|knot| knot[side])));
    let thresholds = match calibration.thresholds.is_empty() {
        true => String::new(),
        false => format!(
            "\n- {of_trait}Each next grade begins at the raw score {}.",
            numbers(&mut calibration.thresholds.iter().copied())
        ),
    };
    format!(
        "- {of_trait}Raw scores {raw} become {calibrated}; straight between these, constant beyond.{thresholds}"
    )
}

/// What the intervals are, where they are given, and the numbers for whoever applies them.
pub(super) fn intervals(traits: &[TraitSettings], options: &Options) -> String {
    let applied = match (options.format, options.calibrated) {
        (Format::HuggingFace, _) => "`pair2score score --intervals` writes them; `scorer.json` holds them.",
        (Format::Web, _) => "The page shows them beside the score.",
        (_, true) => {
            "They lie around raw scores, which this model does not give: export it without `--calibrated`."
        }
        (_, false) => "They lie around the raw scores that the model gives.",
    };
    let said = |of: &TraitSettings| {
        let Intervals { level, documents, thresholds, half_widths } = of.intervals.as_ref()?;
        let of_trait = if traits.len() > 1 { format!("{}: ", of.target) } else { String::new() };
        let from = thresholds.iter().map(|threshold| format!(" from a score of {threshold:.4} on"));
        let regions = [" of the score".to_owned()].into_iter().chain(from).zip(half_widths);
        let regions: Vec<String> = regions.map(|(from, half)| format!("± {half:.4}{from}")).collect();
        Some(format!(
            "- {of_trait}{:.0} % of labels lie within {} ({documents} unseen documents).",
            level * 100.0,
            regions.join(", ")
        ))
    };
    let lines: Vec<String> = traits.iter().filter_map(said).collect();
    format!(
        "How far the labels of people lie from scores, by documents that did not decide these. {applied}\n\n{}",
        lines.join("\n")
    )
}

/// What of the data is in the export.
pub(super) fn anchors(anchors: &Anchors) -> String {
    let with_text = anchors.documents.iter().filter(|document| document.text.is_some()).count();
    let texts = match with_text {
        0 => "their texts are not in it".to_owned(),
        n => format!("with the texts of {n}"),
    };
    format!(
        "The scorer names documents that resemble a text. It holds the ids, labels and embeddings of {} graded documents \
         for this; {texts}.",
        anchors.documents.len()
    )
}

//! The nearest valid spelling of a mistyped word.

/// Below this similarity (0 to 1) a suggestion confuses more than it helps.
const MIN_SIMILARITY: f64 = 0.6;

/// A longer word is no slip of the finger, and comparing costs its length times that of every candidate.
const MAX_LENGTH: usize = 64;

/// The candidate most like `word`, if any is like it.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|&candidate| (strsim::normalized_damerau_levenshtein(&word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean X?)` or nothing.
pub(super) fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    nearest(word, candidates).map(|found| format!(" (did you mean {found}?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let keys = ["batch_size", "epochs", "lr"];
        assert_eq!(nearest("bacth_size", &keys), Some("batch_size"));
        assert_eq!(nearest("Batch-Size", &keys), Some("batch_size"));
    }

    #[test]
    fn a_different_word_gets_no_suggestion() {
        assert_eq!(nearest("optimizer", &["batch_size", "epochs", "lr"]), None);
        assert_eq!(nearest(&"epochs".repeat(100_000), &["epochs"]), None);
    }
}

//! Pairs whose right answer is known.

use std::collections::HashMap;

use crate::error::{DataError, Result};
use crate::pairs::PairCache;

/// Known answers by pair of documents, as [`stats`](super::stats) takes them: the smaller index of `documents` first, and
/// the answer for that order. `documents` are sorted ids; pairs of other documents are of no use and left out.
///
/// # Errors
/// Two different answers about one pair, with file and line.
pub fn gold_answers(caches: &[PairCache], documents: &[String]) -> Result<HashMap<(usize, usize), f64>> {
    let mut gold = HashMap::new();
    for cache in caches {
        for (pair, &line) in cache.pairs.iter().zip(&cache.lines) {
            // The ids are sorted, so the order of indices is that of ids.
            let (first, second) = pair.unordered();
            let place = |id: &str| documents.binary_search_by(|known| known.as_str().cmp(id)).ok();
            let (Some(a), Some(b)) = (place(first), place(second)) else { continue };
            let answer = pair.y_of(first);
            if gold.insert((a, b), answer).is_some_and(|before| before != answer) {
                let what = format!("another answer about {first:?} and {second:?} than before");
                return Err(DataError::line(&cache.path, line, what, "keep one"));
            }
        }
    }
    Ok(gold)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::pairs::parse_pairs;

    fn cache(pairs: &[(&str, &str, f64)]) -> PairCache {
        let line = |&(a, b, y): &(&str, &str, f64)| {
            format!(r#"{{"run":1,"trait":"t","split":"train","index":0,"a":"{a}","b":"{b}","y":{y}}}"#)
        };
        let text: Vec<String> = pairs.iter().map(line).collect();
        parse_pairs(Path::new("gold.jsonl"), &text.join("\n")).unwrap()
    }

    #[test]
    fn answers_are_for_the_order_of_ids() {
        let documents = ["x", "y", "z"].map(str::to_owned);
        let gold = gold_answers(&[cache(&[("z", "x", 1.0), ("x", "y", 0.5), ("x", "?", 1.0)])], &documents);
        assert_eq!(gold.unwrap(), HashMap::from([((0, 2), 0.0), ((0, 1), 0.5)]));
    }

    #[test]
    fn contradictions_are_named() {
        let documents = ["x", "y"].map(str::to_owned);
        let message =
            gold_answers(&[cache(&[("x", "y", 1.0), ("y", "x", 1.0)])], &documents).unwrap_err().to_string();
        assert_eq!(message, "gold.jsonl: line 2: another answer about \"x\" and \"y\" than before; keep one");
    }
}

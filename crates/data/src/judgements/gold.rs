//! Pairs whose right answer is known.

use std::collections::HashMap;

use crate::error::{DataError, Result};
use crate::pairs::{Pair, PairCache};

/// Known answers about `target`, or about whatever the pairs are, by pair of documents, as [`stats`](super::stats) takes them:
/// the smaller index of `documents` first, and the answer for that order. `documents` are sorted ids; pairs of other
/// documents and traits are of no use and left out.
///
/// # Errors
/// A file without a pair about `target`; two different answers about one pair, with file and line.
pub fn gold_answers(
    caches: &[PairCache],
    documents: &[String],
    target: Option<&str>,
) -> Result<HashMap<(usize, usize), f64>> {
    let mut gold = HashMap::new();
    let is_asked = |pair: &Pair| target.is_none_or(|target| pair.target == target);
    for cache in caches {
        if let (Some(target), Some(other)) = (target, cache.pairs.first())
            && !cache.pairs.iter().any(is_asked)
        {
            let what = format!("answers about \"{}\", the judgements are about \"{target}\"", other.target);
            return Err(DataError::file(&cache.path, what, "give right answers about what was judged"));
        }
        for (pair, &line) in cache.pairs.iter().zip(&cache.lines).filter(|(pair, _)| is_asked(pair)) {
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
        let gold = gold_answers(
            &[cache(&[("z", "x", 1.0), ("x", "y", 0.5), ("x", "?", 1.0)])],
            &documents,
            Some("t"),
        );
        assert_eq!(gold.unwrap(), HashMap::from([((0, 2), 0.0), ((0, 1), 0.5)]));
    }

    #[test]
    fn contradictions_are_named() {
        let documents = ["x", "y"].map(str::to_owned);
        let message = gold_answers(&[cache(&[("x", "y", 1.0), ("y", "x", 1.0)])], &documents, None)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "gold.jsonl: line 2: another answer about \"x\" and \"y\" than before; keep one");
    }

    #[test]
    fn answers_about_another_trait_are_refused() {
        let documents = ["x", "y"].map(str::to_owned);
        let answers = [cache(&[("x", "y", 1.0)])];
        assert_eq!(gold_answers(&answers, &documents, Some("t")).unwrap(), HashMap::from([((0, 1), 1.0)]));
        let message = gold_answers(&answers, &documents, Some("style")).unwrap_err().to_string();
        assert!(
            message.starts_with("gold.jsonl: answers about \"t\", the judgements are about \"style\""),
            "{message}"
        );
    }
}

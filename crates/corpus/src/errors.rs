//! Learner errors: the stage that the grammar level steers.
//!
//! The clean text is walked word by word. A word that could go wrong does so with a probability that falls from
//! 40 % at level 1.0 to nothing at level 4.75, from where the published score is 5.0.

use rand::RngCore;

use crate::levels::{EvenDraws, interpolate};
use crate::misspellings::{BY_EAR, DOUBLE_NEGATIVES, FORMS, PREPOSITIONS, SPELLINGS};
use crate::morphology;
use crate::token::{Role, Token};
use pair2score_data::rng;

/// Errors per thousand words that could go wrong, by level in thousandths.
const RATE: [(i64, i64); 6] = [(1000, 400), (2000, 265), (3000, 145), (4000, 55), (4500, 16), (4750, 0)];

/// Kinds of error. A learner has weak and strong ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verb,
    Noun,
    Article,
    Preposition,
    Spelling,
    Mechanics,
    WordForm,
    Negation,
}

const KINDS: usize = 8;

/// What happens to a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    Replace(String),
    /// The word is left out.
    Drop,
    /// The capital is forgotten.
    Lower,
    /// A full stop is left out; the next sentence runs on.
    RunOn(&'static str),
}

/// The text with errors for a grammar level in thousandths.
pub(crate) fn inject(tokens: &[Token], level: i64, rng: &mut impl RngCore) -> Vec<Token> {
    let rate = interpolate(&RATE, level);
    let mut draws = EvenDraws::new(rng);
    let weakness: [usize; KINDS] = std::array::from_fn(|_| 1 + rng::below(rng, 3));
    let mut out = Vec::with_capacity(tokens.len());
    let mut runs_on = false;
    for (place, token) in tokens.iter().enumerate() {
        let mut token = token.clone();
        if std::mem::take(&mut runs_on) {
            token.capital = false;
        }
        let options = options(&token, place + 1 == tokens.len());
        if options.is_empty() || draws.draw() >= rate {
            out.push(token);
            continue;
        }
        match choose(options, &weakness, rng) {
            Edit::Replace(text) => out.push(Token { text, ..token }),
            Edit::Lower => {
                let text = token.text.to_lowercase();
                out.push(Token { text, capital: false, ..token });
            }
            Edit::RunOn(mark) => {
                runs_on = true;
                if !mark.is_empty() {
                    out.push(Token::new(mark, "", Role::Mark));
                }
            }
            Edit::Drop => {}
        }
    }
    out
}

fn choose(options: Vec<(Kind, Edit)>, weakness: &[usize; KINDS], rng: &mut impl RngCore) -> Edit {
    let weight = |kind: Kind| weakness[kind as usize];
    let mut draw = rng::below(rng, options.iter().map(|(kind, _)| weight(*kind)).sum());
    for (kind, edit) in options {
        match draw.checked_sub(weight(kind)) {
            Some(rest) => draw = rest,
            None => return edit,
        }
    }
    Edit::Drop
}

/// Everything that can go wrong with a word.
fn options(token: &Token, last: bool) -> Vec<(Kind, Edit)> {
    let mut options = Vec::new();
    let mut add = |kind, text: String| {
        if text != token.text {
            options.push((kind, Edit::Replace(text)));
        }
    };
    let base = token.base.as_str();
    match token.role {
        Role::Be => {
            let other = match token.text.as_str() {
                "is" | "am" => "are",
                "are" => "is",
                "was" => "were",
                _ => "was",
            };
            add(Kind::Verb, other.to_owned());
            options.push((Kind::Verb, Edit::Drop));
        }
        Role::Singular => add(Kind::Verb, base.to_owned()),
        Role::Present => add(Kind::Verb, morphology::singular(base)),
        Role::Past => {
            add(Kind::Verb, base.to_owned());
            add(Kind::Verb, morphology::regular_past(base));
        }
        Role::Participle => {
            add(Kind::Verb, base.to_owned());
            add(Kind::Verb, morphology::past(base));
        }
        Role::Gerund => {
            add(Kind::Verb, base.to_owned());
            add(Kind::Verb, format!("to {base}"));
        }
        Role::Bare => {
            add(Kind::Verb, format!("to {base}"));
            add(Kind::Verb, morphology::singular(base));
        }
        Role::Auxiliary => match token.text.as_str() {
            "does" => add(Kind::Verb, "do".to_owned()),
            "did" => add(Kind::Verb, "do".to_owned()),
            _ => add(Kind::Verb, "does".to_owned()),
        },
        Role::Plural => {
            add(Kind::Noun, base.to_owned());
            add(Kind::Noun, morphology::add_s(base));
        }
        Role::Article => {
            options.push((Kind::Article, Edit::Drop));
            options.push((Kind::Article, Edit::Replace(if base == "a" { "the" } else { "a" }.to_owned())));
        }
        Role::Preposition => {
            for wrong in find(PREPOSITIONS, base).into_iter().flatten() {
                add(Kind::Preposition, wrong.to_owned());
            }
        }
        Role::Mark if last => {}
        Role::Mark if token.text == "." => {
            options.push((Kind::Mechanics, Edit::RunOn("")));
            options.push((Kind::Mechanics, Edit::RunOn(",")));
        }
        Role::Mark => options.push((Kind::Mechanics, Edit::Drop)),
        Role::Plain => {}
    }
    if token.role != Role::Mark {
        word_options(token, &mut options);
    }
    options
}

/// What can go wrong with the letters of a word, whatever its role.
fn word_options(token: &Token, options: &mut Vec<(Kind, Edit)>) {
    let text = token.text.as_str();
    let is_name = text.starts_with(|first: char| first.is_uppercase());
    if token.capital || is_name {
        options.push((Kind::Mechanics, Edit::Lower));
    }
    if is_name {
        return;
    }
    if let Some(wrong) = find(DOUBLE_NEGATIVES, text).filter(|_| token.negated) {
        options.push((Kind::Negation, Edit::Replace(wrong.to_owned())));
    }
    if let Some(wrong) = find(FORMS, text) {
        options.push((Kind::WordForm, Edit::Replace(wrong.to_owned())));
    }
    if let Some(wrong) = find(SPELLINGS, text) {
        options.push((Kind::Spelling, Edit::Replace(wrong.to_owned())));
    } else if text.len() >= 6 {
        let heard = BY_EAR.iter().find_map(|(right, wrong)| {
            // The first letter is hardly ever wrong.
            let at = text.get(1..)?.find(right)? + 1;
            Some(format!("{}{wrong}{}", &text[..at], &text[at + right.len()..]))
        });
        options.extend(heard.map(|wrong| (Kind::Spelling, Edit::Replace(wrong))));
    }
}

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(right, _)| *right == word).map(|(_, wrong)| *wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence() -> Vec<Token> {
        let mut tokens = vec![
            Token::new("he", "he", Role::Plain),
            Token::new("reads", "read", Role::Singular),
            Token::new("a", "a", Role::Article),
            Token::new("book", "book", Role::Plain),
            Token::new(".", "", Role::Mark),
        ];
        crate::token::settle(&mut tokens);
        tokens
    }

    #[test]
    fn nothing_changes_at_the_top() {
        let mut rng = rng::stream(1, &["errors"]);
        for _ in 0..100 {
            assert_eq!(inject(&sentence(), 4750, &mut rng), sentence());
        }
    }

    #[test]
    fn agreement_breaks_at_the_bottom() {
        let mut rng = rng::stream(1, &["errors"]);
        let texts: Vec<_> =
            (0..100).map(|_| crate::token::render(&inject(&sentence(), 1000, &mut rng))).collect();
        assert!(texts.iter().any(|text| text.contains("read a")), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("reads book")), "{texts:?}");
    }
}

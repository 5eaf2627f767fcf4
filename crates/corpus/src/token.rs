//! Words with the grammatical role that makes an error possible, and their way back to plain text.

/// What a word does in its clause, as far as the error stage needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// No role-bound error; may still be misspelt.
    Plain,
    /// `.`, `,`, `;` or `:`
    Mark,
    /// a, an, the
    Article,
    /// A preposition that learners confuse.
    Preposition,
    /// A form of *be*.
    Be,
    /// Third person singular present: `helps`.
    Singular,
    /// Other present: `help`.
    Present,
    /// Simple past.
    Past,
    /// Past participle.
    Participle,
    /// The -ing form.
    Gerund,
    /// The bare verb after a modal or auxiliary.
    Bare,
    /// *do*, *does* or *did* before *not*.
    Auxiliary,
    /// A plural noun.
    Plural,
}

/// One word or punctuation mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// As written, without sentence capitals.
    pub(crate) text: String,
    /// The dictionary form; equal to `text` where nothing is inflected.
    pub(crate) base: String,
    pub(crate) role: Role,
    /// Starts a sentence, so it is written with a capital.
    pub(crate) capital: bool,
    /// Stands in a negated clause.
    pub(crate) negated: bool,
}

impl Token {
    pub(crate) fn new(text: impl Into<String>, base: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), base: base.into(), role, capital: false, negated: false }
    }
}

/// Puts *a* or *an* in front of what follows, and marks the first word of each sentence.
pub(crate) fn settle(tokens: &mut [Token]) {
    for place in 0..tokens.len() {
        let an = tokens.get(place + 1).is_some_and(|next| starts_with_vowel_sound(&next.text));
        let token = &mut tokens[place];
        if token.role == Role::Article && token.base == "a" {
            token.text = if an { "an" } else { "a" }.to_owned();
        }
    }
    let mut capital = true;
    for token in tokens {
        token.capital = capital && token.role != Role::Mark;
        capital = token.text == "." || (capital && token.role == Role::Mark);
    }
}

fn starts_with_vowel_sound(word: &str) -> bool {
    const SILENT_H: [&str; 3] = ["hour", "honest", "honour"];
    const CONSONANT_SOUND: [&str; 5] = ["uni", "use", "usu", "eu", "one"];
    let starts = |list: &[&str]| list.iter().any(|start| word.starts_with(start));
    let unlike = word.starts_with("unin") || word.starts_with("unim");
    starts(&SILENT_H)
        || (word.starts_with(['a', 'e', 'i', 'o', 'u']) && (unlike || !starts(&CONSONANT_SOUND)))
}

/// The running text: spaces between words, none before punctuation.
pub(crate) fn render(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        if token.role != Role::Mark && !text.is_empty() {
            text.push(' ');
        }
        let mut letters = token.text.chars();
        match letters.next() {
            Some(first) if token.capital => {
                text.extend(first.to_uppercase());
                text.push_str(letters.as_str());
            }
            _ => text.push_str(&token.text),
        }
    }
    text
}

/// Number of words, punctuation not counted.
pub(crate) fn words(tokens: &[Token]) -> usize {
    tokens.iter().filter(|token| token.role != Role::Mark).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_follow_the_sound_of_the_next_word() {
        for (next, article) in [
            ("hour", "an"),
            ("useful", "a"),
            ("unique", "a"),
            ("unimportant", "an"),
            ("old", "an"),
            ("one", "a"),
        ] {
            let mut tokens = [Token::new("a", "a", Role::Article), Token::new(next, next, Role::Plain)];
            settle(&mut tokens);
            assert_eq!(tokens[0].text, article, "{next}");
        }
    }

    #[test]
    fn sentences_start_with_capitals_and_marks_close_up() {
        let word = |text| Token::new(text, text, Role::Plain);
        let mark = |text| Token::new(text, text, Role::Mark);
        let mut tokens =
            [word("yes"), mark(","), word("it"), word("works"), mark("."), word("good"), mark(".")];
        settle(&mut tokens);
        assert_eq!(render(&tokens), "Yes, it works. Good.");
    }
}

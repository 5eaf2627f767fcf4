//! Every template can be written: its keys and slots exist, and nothing in the lists is left over.

use crate::frames::{Need, Relation, patterns};
use crate::lexicon;
use crate::names;
use crate::topics::{self, CLAIMS, FEELINGS, WORRIES};

const RELATIONS: [Relation; 8] = [
    Relation::Add,
    Relation::Cause,
    Relation::Contrast,
    Relation::Condition,
    Relation::Time,
    Relation::Opening,
    Relation::Closing,
    Relation::View,
];

/// Verb phrases, which must start with a verb.
fn phrases() -> Vec<&'static str> {
    let mut phrases = [CLAIMS, FEELINGS, WORRIES].concat();
    for topic in topics::all() {
        for list in [topic.praise, topic.doubts, topic.habits, topic.gains, topic.mine, topic.advice] {
            phrases.extend(list);
        }
        phrases.extend(topic.stories.iter().flatten().map(|(_, phrase)| phrase));
    }
    phrases
}

/// Words of all templates, without punctuation.
fn words() -> Vec<&'static str> {
    let frames = RELATIONS.into_iter().flat_map(patterns).flatten().map(|(_, text)| *text);
    let templates =
        phrases().into_iter().chain(frames).chain(["<should>", "<example>", "<surely>", "<finally>"]);
    templates
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches([',', '.', ';', ':']))
        .collect()
}

fn between(word: &'static str, open: char, close: char) -> Option<&'static str> {
    Some(word.strip_prefix(open)?.split_once(close)?.0)
}

#[test]
fn every_synonym_set_exists_and_is_used() {
    let mut used: Vec<_> = words().into_iter().filter_map(|word| between(word, '<', '>')).collect();
    let mut known: Vec<_> = lexicon::keys().collect();
    used.sort_unstable();
    used.dedup();
    known.sort_unstable();
    assert_eq!(used, known);
}

#[test]
fn every_slot_exists() {
    const PRONOUNS: [&str; 5] = ["we", "us", "our", "topic", "person"];
    for slot in words().into_iter().filter_map(|word| between(word, '{', '}')) {
        assert!(PRONOUNS.contains(&slot) || names::slot(slot).is_some(), "{slot}");
    }
}

#[test]
fn marks_are_known_and_phrases_start_with_a_verb() {
    for (_, mark) in words().into_iter().filter_map(|word| word.split_once('+')) {
        assert!(["", "s", "p", "d", "g", "n"].contains(&mark), "{mark}");
    }
    for phrase in phrases() {
        let first = phrase.trim_start_matches("! ").split(' ').next().unwrap_or_default();
        assert!(first.ends_with('+'), "{phrase}");
    }
}

#[test]
fn every_relation_has_patterns_that_always_fit() {
    for relation in RELATIONS {
        for tier in patterns(relation) {
            assert!(tier.iter().filter(|(need, _)| *need == Need::Any).count() >= 2, "{relation:?}");
        }
    }
}

#[test]
fn topics_have_enough_to_say() {
    for topic in topics::all() {
        assert!(topic.praise.len() >= 6 && topic.stories.len() >= 2, "{:?}", topic.names);
        assert!(topic.habits.len() >= 3 && topic.gains.len() >= 3, "{:?}", topic.names);
    }
}

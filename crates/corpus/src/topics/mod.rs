//! What the essays are about: twenty topics and the things that can be said about any of them.
//!
//! All phrases are verb phrases in the notation of [`crate::wording`].

mod leisure;
mod society;
mod study;

use crate::lexicon::Tiers;
use crate::wording::Subject;

/// One step of a story: who, and what they did (written `go+`, told in the past).
pub(crate) type Step = (Subject, &'static str);

/// The material of one topic.
pub(crate) struct Topic {
    /// What the topic is called.
    pub(crate) names: Tiers,
    /// The topic ... (its good sides)
    pub(crate) praise: &'static [&'static str],
    /// The topic ... (its bad sides)
    pub(crate) doubts: &'static [&'static str],
    /// If people ...
    pub(crate) habits: &'static [&'static str],
    /// ... then they can ...
    pub(crate) gains: &'static [&'static str],
    /// I ...
    pub(crate) mine: &'static [&'static str],
    /// Four steps each; the second follows from the first, and the fourth from the third.
    pub(crate) stories: &'static [[Step; 4]],
    /// People should ...
    pub(crate) advice: &'static [&'static str],
}

/// Every topic.
pub(crate) fn all() -> Vec<&'static Topic> {
    [leisure::TOPICS, society::TOPICS, study::TOPICS].into_iter().flatten().collect()
}

/// What can be claimed about any topic.
pub(crate) const CLAIMS: &[&str] = &[
    "be+ a <important> <part> of our lives",
    "be+ <important> for <person>* of all ages",
    "make+ a <big> difference in our lives",
    "make+ our lives <better>",
    "have+ a <big> <effect> on our lives",
    "deserve+ more attention than before",
    "matter+ <alot>",
    "<shape>+ our lives in <many> way*",
    "play+ a <big> role in our lives",
    "teach+ us <many> <skill>*",
    "bring+ us <joy>",
    "<helpto>+ us to reach our <goal>*",
    "be+ <good> for many <person>*",
    "be+ a <interesting> subject for everybody",
    "<shape>+ the way we live and think",
];

/// What the writer can say about any topic.
pub(crate) const FEELINGS: &[&str] = &[
    "<like>+ {topic} <alot>",
    "! want+ to live without {topic}",
    "care+ <alot> about {topic}",
    "think+ about {topic} <daily>",
    "<discuss>+ {topic} with my <friend>* every week",
    "! know+ any <person> who has no interest in {topic}",
    "<tryto>+ learn more about {topic} every year",
    "! see+ anything wrong with {topic}",
    "be+ <happy> when we <discuss> {topic} in class",
];

/// Doubts that fit any topic.
pub(crate) const WORRIES: &[&str] = &[
    "<cause>+ <many> <problem>* for some family*",
    "cost+ <much> time and money",
    "! make+ anybody <happy> at first",
    "bring+ <much> <stress> to young people",
    "! have+ any value for some <person>*",
];

//! How clauses become sentences: for each relation, patterns from plain to elaborate.
//!
//! In a pattern `%A` is a whole clause. A letter after the name asks for a piece of it: `%As` the subject,
//! `%Av` the finite verb phrase, `%Ag` the -ing phrase, `%Ap` the past participle phrase, `%Ab` the bare verb
//! phrase, `%Aw` the clause with *would*, `%Ar` *which* or *who*.
//! Everything else is written as in [`crate::wording`].

/// What a pattern asks of its clauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Any,
    /// Both clauses have the same subject.
    Same,
    /// The same subject, and it is a noun that the sentence names for the first time.
    Noun,
}

/// How two clauses (or one) belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// A, and also B; one subject.
    Add,
    /// A because B.
    Cause,
    /// A although B.
    Contrast,
    /// If A, then B; one subject, B has a modal.
    Condition,
    /// A, then B, in the past.
    Time,
    /// The claim A at the start.
    Opening,
    /// The claim A at the end.
    Closing,
    /// A as the opinion of somebody else.
    View,
}

/// A need and a text.
pub(crate) type Pattern = (Need, &'static str);

/// The patterns of a relation: plain, subordinate, elaborate.
pub(crate) fn patterns(relation: Relation) -> [&'static [Pattern]; 3] {
    match relation {
        Relation::Add => ADD,
        Relation::Cause => CAUSE,
        Relation::Contrast => CONTRAST,
        Relation::Condition => CONDITION,
        Relation::Time => TIME,
        Relation::Opening => OPENING,
        Relation::Closing => CLOSING,
        Relation::View => VIEW,
    }
}

use Need::{Any, Noun, Same};

const ADD: [&[Pattern]; 3] = [
    &[(Any, "%A. %B."), (Same, "%A and %Bv."), (Any, "%A. and %B."), (Any, "%A. also, %B.")],
    &[
        (Any, "%A. <also>, %B."),
        (Any, "one reason is that %A. another reason is that %B."),
        (Any, "first of all, %A. <also>, %B."),
        (Any, "we should remember that %A and that %B."),
        (Any, "we all know that %A. <also>, %B."),
    ],
    &[
        (Noun, "%As, %Ar %Av, %Bv."),
        (Noun, "%As not only %Av but also %Bv."),
        (Same, "besides %Ag, %As %Bv."),
        (Same, "by %Ag, %As %Bv."),
        (Same, "in addition to %Ag, %As %Bv."),
        (Any, "%A; <also>, %B."),
        (Any, "what matters most is that %A; it is equally true that %B."),
        (Noun, "%As, %Ar %Av, undoubtedly %Bv."),
        (Any, "not everyone has noticed that %A, let alone that %B."),
    ],
];

const CAUSE: [&[Pattern]; 3] = [
    &[(Any, "%B so %A."), (Any, "%A. %B."), (Any, "%B. so %A.")],
    &[
        (Any, "%A because %B."),
        (Any, "because %B, %A."),
        (Any, "%A, and the main reason is that %B."),
        (Any, "as %B, %A."),
        (Any, "%A. this is because %B."),
        (Any, "%A since %B."),
    ],
    &[
        (Any, "given that %B, %A."),
        (Any, "%A for one simple reason: %B."),
        (Any, "%A, the main reason being that %B."),
        (Any, "it is because %B that %A."),
        (Any, "%A; after all, %B."),
        (Any, "seeing that %B, %A."),
        (Any, "considering that %B, it is hardly surprising that %A."),
    ],
];

const CONTRAST: [&[Pattern]; 3] = [
    &[(Any, "%A but %B."), (Any, "%A. but %B."), (Any, "%B. but %A.")],
    &[
        (Any, "although %B, %A."),
        (Any, "%A. <however>, %B."),
        (Any, "even though %B, %A."),
        (Any, "while %B, %A."),
        (Any, "some people say that %B, but I <think> that %A."),
        (Any, "it is true that %B, but %A."),
    ],
    &[
        (Any, "despite the fact that %B, %A."),
        (Any, "%A; <however>, %B."),
        (Same, "despite %Bg, %As %Av."),
        (Any, "admittedly, %B; all the same, %A."),
        (Any, "those who complain that %B tend to forget that %A."),
        (Any, "however often we hear that %B, the truth is that %A."),
        (Any, "granted, %B, yet nobody can deny that %A."),
    ],
];

const CONDITION: [&[Pattern]; 3] = [
    &[(Any, "%A and %B."), (Any, "%A. so %B."), (Any, "%A. then %B.")],
    &[
        (Any, "if %A, %B."),
        (Any, "when %A, %B."),
        (Any, "%B if %A."),
        (Any, "%B when %A."),
        (Any, "I <think> that %B if %A."),
        (Any, "once %A, %B."),
    ],
    &[
        (Any, "provided that %A, %B."),
        (Any, "as long as %A, %B."),
        (Same, "should %As %Ab, %B."),
        (Same, "were %As to %Ab, %Bw."),
        (Same, "by %Ag, %As %Bv."),
        (Any, "%A, which means that %B."),
        (Any, "it is only when %A that %B."),
    ],
];

const TIME: [&[Pattern]; 3] = [
    &[(Any, "%A. %B."), (Any, "%A. then %B."), (Any, "%A and then %B."), (Any, "%A so %B.")],
    &[
        (Any, "when %A, %B."),
        (Any, "after %A, %B."),
        (Any, "%A, and after that %B."),
        (Any, "as soon as %A, %B."),
        (Any, "%A. <result>, %B."),
    ],
    &[
        (Same, "having %Ap, %As %Bv."),
        (Same, "after %Ag, %As %Bv."),
        (Any, "%A, after which %B."),
        (Any, "once %A, %B."),
        (Any, "%A; before long, %B."),
        (Any, "no sooner had %As %Ap than %B."),
        (Any, "%A; <result>, %B."),
        (Any, "it was only after %A that %B."),
    ],
];

const OPENING: [&[Pattern]; 3] = [
    &[
        (Any, "I think %A."),
        (Any, "%A."),
        (Any, "I think that %A."),
        (Any, "for me, %A."),
        (Any, "I want to say that %A."),
    ],
    &[
        (Any, "in my opinion, %A."),
        (Any, "I <think> that %A."),
        (Any, "many people say that %A, and I agree with them."),
        (Any, "if you ask me, %A."),
        (Any, "everybody knows that %A, but not everybody knows why."),
        (Any, "as I see it, %A."),
    ],
    &[
        (Any, "there is little doubt that %A."),
        (Any, "it is often said that %A, a view which I fully share."),
        (Any, "what nobody can deny is that %A."),
        (Any, "looking at the world around me, I would say that %A."),
        (Any, "having thought about this question, I <think> that %A."),
        (Any, "however different our lives may be, %A."),
        (Any, "rarely do we ask ourselves why %A, yet the answer is not hard to find."),
    ],
];

const CLOSING: [&[Pattern]; 3] = [
    &[
        (Any, "so %A."),
        (Any, "%A."),
        (Any, "because of all this, %A."),
        (Any, "so I think %A."),
        (Any, "in the end, %A."),
    ],
    &[
        (Any, "in conclusion, %A."),
        (Any, "for these reasons, I <think> that %A."),
        (Any, "to sum up, %A."),
        (Any, "finally, I want to say that %A."),
        (Any, "that is why I <think> that %A."),
    ],
    &[
        (Any, "all things considered, %A."),
        (Any, "taking everything into account, I <think> that %A."),
        (Any, "if there is one lesson to be learned here, it is that %A."),
        (Any, "weighing both sides, I can only conclude that %A."),
        (Any, "whatever the future brings, %A."),
        (Any, "what all of this shows is that %A."),
    ],
];

const VIEW: [&[Pattern]; 3] = [
    &[
        (Any, "{voice} say+s %A."),
        (Any, "{voice} say+s that %A."),
        (Any, "{voice} think+s %A and I think this too."),
    ],
    &[
        (Any, "{voice} <often> tell+s me that %A."),
        (Any, "when I ask+p {voice}, the answer is always that %A."),
        (Any, "{voice} believe+s that %A, and I agree."),
    ],
    &[
        (Any, "as {voice} keep+s reminding me, %A."),
        (Any, "{voice}, who know+s a lot about life, insist+s that %A."),
        (Any, "according to {voice}, whose advice I trust, %A."),
        (Any, "listening to {voice}, I have come to see that %A."),
    ],
];

//! One essay: a plan of claims, reasons, an example and a conclusion, then its sentences.
//!
//! The plan knows neither words nor errors. Each unit of it is a relation and one or two clauses; the syntax
//! level picks the pattern that joins them, and [`Wording`] finds the words.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;

use crate::errors;
use crate::frames::{self, Need, Relation};
use crate::levels::{self, EvenDraws, Levels};
use crate::token::{self, Token};
use crate::topics::{self, CLAIMS, FEELINGS, Topic, WORRIES};
use crate::wording::{Form, Subject, Wording};
use pair2score_data::rng;

/// Words aimed at, at least and at most, before errors add or drop a few.
const AIM: (usize, usize) = (66, 98);

/// The highest number of words before errors.
const MOST: usize = 112;

/// Words kept free for the conclusion. A longer one makes the last unit give way.
const CONCLUSION: usize = 16;

/// Somebody does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clause {
    subject: Subject,
    phrase: &'static str,
    form: Form,
    modal: Option<&'static str>,
}

impl Clause {
    fn present(subject: Subject, phrase: &'static str) -> Self {
        Self { subject, phrase, form: Form::Present, modal: None }
    }

    fn past((subject, phrase): topics::Step) -> Self {
        Self { subject, phrase, form: Form::Past, modal: None }
    }

    fn modal(subject: Subject, modal: &'static str, phrase: &'static str) -> Self {
        Self { subject, phrase, form: Form::Present, modal: Some(modal) }
    }
}

/// The text of the essay at `place` in the corpus drawn from `seed`.
pub(crate) fn write(levels: Levels, seed: u64, place: &str) -> String {
    let stream = |stage| rng::stream(seed, &["demo", stage, place]);
    let topics = topics::all();
    let mut plan = stream("plan");
    let topic = topics[rng::below(&mut plan, topics.len())];
    let mut writer = Writer {
        topic,
        decks: Decks::new(topic, &mut plan),
        plan,
        syntax: levels.syntax,
        tiers: EvenDraws::new(&mut stream("tiers")),
        frames: stream("frames"),
        wording: Wording::new(levels.vocabulary, stream("words")),
        used: Vec::new(),
    };
    let mut tokens = writer.essay();
    token::settle(&mut tokens);
    token::render(&errors::inject(&tokens, levels.grammar, &mut stream("errors")))
}

fn words(units: &[Vec<Token>]) -> usize {
    units.iter().map(|unit| token::words(unit)).sum()
}

/// The phrases of a topic in random order; each is used once.
struct Decks {
    claims: Vec<&'static str>,
    feelings: Vec<&'static str>,
    praise: Vec<&'static str>,
    doubts: Vec<&'static str>,
    habits: Vec<&'static str>,
    gains: Vec<&'static str>,
    mine: Vec<&'static str>,
    advice: Vec<&'static str>,
}

impl Decks {
    fn new(topic: &Topic, rng: &mut impl RngCore) -> Self {
        let mut deck = |lists: &[&[&'static str]]| {
            let mut cards = lists.concat();
            rng::shuffle(rng, &mut cards);
            cards
        };
        Self {
            claims: deck(&[CLAIMS]),
            feelings: deck(&[FEELINGS]),
            praise: deck(&[topic.praise]),
            doubts: deck(&[topic.doubts, WORRIES]),
            habits: deck(&[topic.habits]),
            gains: deck(&[topic.gains]),
            mine: deck(&[topic.mine]),
            advice: deck(&[topic.advice]),
        }
    }
}

struct Writer {
    topic: &'static Topic,
    decks: Decks,
    plan: ChaCha8Rng,
    /// Syntax level in thousandths.
    syntax: i64,
    frames: ChaCha8Rng,
    tiers: EvenDraws,
    wording: Wording,
    /// Patterns used so far.
    used: Vec<&'static str>,
}

impl Writer {
    fn essay(&mut self) -> Vec<Token> {
        let aim = AIM.0 + rng::below(&mut self.plan, AIM.1 - AIM.0 + 1) - CONCLUSION;
        let mut units = vec![self.opening()];
        for relation in self.order() {
            let left = (MOST - CONCLUSION).saturating_sub(words(&units));
            let unit = match relation {
                Relation::Time => self.story(left),
                relation => self.unit(relation),
            };
            if token::words(&unit) <= left {
                units.push(unit);
            }
            if words(&units) >= aim {
                break;
            }
        }
        let closing = self.closing();
        while words(&units) + token::words(&closing) > MOST && units.len() > 1 {
            units.pop();
        }
        units.push(closing);
        units.concat()
    }

    /// The units between opening and conclusion: a reason first, then all kinds, more than ever fit.
    fn order(&mut self) -> Vec<Relation> {
        use Relation::{Add, Cause, Condition, Contrast, Time, View};
        let mut first = [Cause, Add];
        let mut rest = [Time, Condition, Contrast, View, Time];
        let mut spare = [Add, Cause, Condition, View, Contrast];
        rng::shuffle(&mut self.plan, &mut first);
        rng::shuffle(&mut self.plan, &mut rest);
        rng::shuffle(&mut self.plan, &mut spare);
        // One story is enough.
        let mut seen_story = false;
        let rest = rest.into_iter().filter(|unit| *unit != Time || !std::mem::replace(&mut seen_story, true));
        first.into_iter().take(1).chain(rest).chain(first.into_iter().skip(1)).chain(spare).collect()
    }

    fn opening(&mut self) -> Vec<Token> {
        match self.decks.claims.pop() {
            Some(claim) => self.sentence(Relation::Opening, Clause::present(Subject::Topic, claim), None),
            None => Vec::new(),
        }
    }

    /// Advice to everybody, or one more claim.
    fn closing(&mut self) -> Vec<Token> {
        let advice = self.decks.advice.pop().filter(|_| rng::below(&mut self.plan, 4) > 0);
        let clause = match (advice, self.decks.claims.pop()) {
            (Some(advice), _) => Clause::modal(Subject::Crowd, "<should>", advice),
            (None, Some(claim)) => Clause::present(Subject::Topic, claim),
            (None, None) => return Vec::new(),
        };
        self.sentence(Relation::Closing, clause, None)
    }

    /// One or two sentences for a relation; empty when the topic has nothing left to say.
    fn unit(&mut self, relation: Relation) -> Vec<Token> {
        self.clauses(relation).map_or_else(Vec::new, |(a, b)| self.sentence(relation, a, b))
    }

    fn clauses(&mut self, relation: Relation) -> Option<(Clause, Option<Clause>)> {
        const MODALS: [&str; 3] = ["can", "can", "will"];
        let coin = rng::below(&mut self.plan, 2) == 0;
        let decks = &mut self.decks;
        let (a, b) = match relation {
            Relation::Cause => {
                let own = if coin { decks.mine.pop() } else { decks.feelings.pop() }?;
                let praise = Clause::present(Subject::Topic, decks.praise.pop()?);
                (Clause::present(Subject::Narrator, own), Some(praise))
            }
            Relation::Contrast => {
                let doubt = Clause::present(Subject::Topic, decks.doubts.pop()?);
                (Clause::present(Subject::Topic, decks.praise.pop()?), Some(doubt))
            }
            Relation::Condition => {
                let habit = Clause::present(Subject::Crowd, decks.habits.pop()?);
                let modal = MODALS[rng::below(&mut self.plan, MODALS.len())];
                (habit, Some(Clause::modal(Subject::Crowd, modal, self.decks.gains.pop()?)))
            }
            Relation::View => {
                let said = if coin { decks.praise.pop() } else { decks.claims.pop() }?;
                (Clause::present(Subject::Topic, said), None)
            }
            Relation::Add | Relation::Opening | Relation::Closing | Relation::Time => {
                let first = Clause::present(Subject::Topic, decks.praise.pop()?);
                (first, Some(Clause::present(Subject::Topic, decks.praise.pop()?)))
            }
        };
        Some((a, b))
    }

    /// The example: two pairs of steps, or the first pair where `limit` words leave no room for more.
    fn story(&mut self, limit: usize) -> Vec<Token> {
        let stories = self.topic.stories;
        let Some(&[one, two, three, four]) = stories.get(rng::below(&mut self.plan, stories.len())) else {
            return Vec::new();
        };
        let mut tokens = self.comment("<example>,", 3);
        tokens.extend(self.sentence(Relation::Time, Clause::past(one), Some(Clause::past(two))));
        let mut rest = self.comment("<finally>,", 2);
        rest.extend(self.sentence(Relation::Time, Clause::past(three), Some(Clause::past(four))));
        if token::words(&tokens) + token::words(&rest) <= limit {
            tokens.extend(rest);
        }
        tokens
    }

    /// A word or two in front of a sentence, `times` times out of four.
    fn comment(&mut self, words: &str, times: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        if rng::below(&mut self.plan, 4) < times {
            self.wording.write(words, Subject::Narrator, Form::Present, &mut tokens);
        }
        tokens
    }

    fn sentence(&mut self, relation: Relation, a: Clause, b: Option<Clause>) -> Vec<Token> {
        self.wording.start_unit(&self.topic.names);
        let same = b.is_some_and(|b| b.subject == a.subject);
        let pattern = self.pattern(relation, same, self.wording.is_unnamed(a.subject));
        // Patterns with an opening of their own need no comment, and stories have theirs.
        let takes_comment = pattern.starts_with('%') && relation != Relation::Time;
        let mut tokens = if takes_comment { self.comment("<surely>,", 2) } else { Vec::new() };
        for word in pattern.split_whitespace() {
            let core = word.trim_end_matches([',', '.', ';', ':']);
            match (core.strip_prefix("%A"), core.strip_prefix("%B"), b) {
                (Some(piece), ..) => self.piece(a, piece, &mut tokens),
                (_, Some(piece), Some(b)) => self.piece(b, piece, &mut tokens),
                _ => self.wording.write(core, Subject::Narrator, Form::Present, &mut tokens),
            }
            self.wording.write(&word[core.len()..], Subject::Narrator, Form::Present, &mut tokens);
        }
        tokens
    }

    /// A pattern that fits the syntax level and the clauses, one not used before if there is any.
    fn pattern(&mut self, relation: Relation, same: bool, unnamed: bool) -> &'static str {
        let patterns = frames::patterns(relation)[levels::tier(self.syntax, &mut self.tiers)];
        let mut fitting: Vec<&'static str> = patterns
            .iter()
            .filter(|(need, _)| match need {
                Need::Any => true,
                Need::Same => same,
                Need::Noun => same && unnamed,
            })
            .map(|(_, text)| *text)
            .collect();
        if fitting.iter().any(|text| !self.used.contains(text)) {
            fitting.retain(|text| !self.used.contains(text));
        }
        let choice = rng::below(&mut self.frames, fitting.len());
        let pattern = fitting.get(choice).copied().unwrap_or_default();
        self.used.push(pattern);
        pattern
    }

    /// Writes the piece of a clause that a pattern asks for; see [`frames`].
    fn piece(&mut self, clause: Clause, piece: &str, out: &mut Vec<Token>) {
        let Clause { subject, phrase, form, modal } = clause;
        let wording = &mut self.wording;
        if matches!(piece, "" | "s" | "w") {
            wording.subject(subject, out);
        }
        match piece {
            "" | "v" => wording.verb_phrase(phrase, subject, form, modal, out),
            "w" => wording.verb_phrase(phrase, subject, form, Some("would"), out),
            "g" => wording.verb_phrase(phrase, subject, Form::Gerund, None, out),
            "p" => wording.verb_phrase(phrase, subject, Form::Participle, None, out),
            "b" => wording.verb_phrase(phrase, subject, Form::Bare, None, out),
            "r" => {
                let pronoun = if matches!(subject, Subject::Topic) { "which" } else { "who" };
                wording.write(pronoun, subject, form, out);
            }
            _ => {}
        }
    }
}

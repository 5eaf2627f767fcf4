//! From templates to words: the stage that the vocabulary level steers.
//!
//! A template is words with marks:
//!
//! | Mark | Meaning |
//! |---|---|
//! | `help+` | verb that agrees with the clause |
//! | `+s` `+p` `+d` `+g` `+n` | always third person, other present, past, -ing, participle |
//! | `friend*` | plural noun |
//! | `<good>` | synonym set of the [`lexicon`]; may carry the marks above |
//! | `{city}` | detail from [`names`], the same throughout an essay |
//! | `{topic}` `{person}` | the topic, the person of the story: named once per unit, then a pronoun |
//! | `{we}` `{us}` `{our}` | pronouns of the clause's subject |
//! | `!` in front | the clause is negated |

use rand_chacha::ChaCha8Rng;

use crate::levels::{self, EvenDraws};
use crate::lexicon::{self, Tiers};
use crate::morphology;
use crate::names::{self, FIRST_NAMES, Gender, TIES};
use crate::token::{Role, Token};
use pair2score_data::rng;

/// Which present form a subject takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// I
    First,
    /// he, she, it
    Third,
    /// we, they
    Plural,
}

/// Who or what a clause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Narrator,
    Topic,
    Person,
    Crowd,
}

/// The form of the verbs marked `+`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Present,
    Past,
    Gerund,
    Participle,
    Bare,
}

/// A noun phrase with its pronouns: subject, object, possessive.
#[derive(Debug, Clone)]
pub(crate) struct Noun {
    pub(crate) text: String,
    pub(crate) agreement: Agreement,
    pub(crate) pronouns: [&'static str; 3],
}

/// Chooses the words of one essay.
pub(crate) struct Wording {
    /// Vocabulary level in thousandths.
    level: i64,
    rng: ChaCha8Rng,
    tiers: EvenDraws,
    /// Synonyms used so far.
    used: Vec<&'static str>,
    /// Details drawn so far.
    details: Vec<(String, &'static str)>,
    person: Noun,
    topic: Noun,
    crowd: Noun,
    /// Subjects already named in the current unit.
    mentioned: Vec<Subject>,
    negated: bool,
}

const IT: [&str; 3] = ["it", "it", "its"];
const THEY: [&str; 3] = ["they", "them", "their"];

/// Names of groups of people. `we` needs no pronoun of its own.
const CROWDS: Tiers = [
    &["we", "people", "kid*", "all people"],
    &["student*", "young people", "teenager*", "we"],
    &["adolescent*", "young adult*", "youngster*", "we"],
];

/// Prepositions that learners confuse; *to* and *of* are left alone.
const PREPOSITIONS: &[&str] = &["in", "on", "at", "for", "with", "about", "from", "during"];

impl Wording {
    /// The wording of an essay at a vocabulary level in thousandths.
    pub(crate) fn new(level: i64, mut rng: ChaCha8Rng) -> Self {
        let (name, gender) = FIRST_NAMES[rng::below(&mut rng, FIRST_NAMES.len())];
        let tie = TIES[rng::below(&mut rng, TIES.len())];
        let pronouns = match gender {
            Gender::She => ["she", "her", "her"],
            Gender::He => ["he", "him", "his"],
        };
        let person = Noun { text: format!("{tie} {name}"), agreement: Agreement::Third, pronouns };
        let nobody = Noun { text: String::new(), agreement: Agreement::Plural, pronouns: THEY };
        let (used, details, mentioned) = (Vec::new(), Vec::new(), Vec::new());
        let tiers = EvenDraws::new(&mut rng);
        Self {
            level,
            rng,
            tiers,
            used,
            details,
            person,
            topic: nobody.clone(),
            crowd: nobody,
            mentioned,
            negated: false,
        }
    }

    /// Starts a unit of one or two sentences: names the topic and a crowd anew, in words fit for the level.
    pub(crate) fn start_unit(&mut self, names: &Tiers) {
        let topic = self.pick(names);
        let plural = topic.ends_with('*');
        let (agreement, pronouns) = if plural { (Agreement::Plural, THEY) } else { (Agreement::Third, IT) };
        self.topic = Noun { text: topic.to_owned(), agreement, pronouns };
        let crowd = self.pick(&CROWDS);
        let pronouns = if crowd == "we" { ["we", "us", "our"] } else { THEY };
        self.crowd = Noun { text: crowd.to_owned(), agreement: Agreement::Plural, pronouns };
        self.mentioned.retain(|subject| *subject == Subject::Person);
    }

    pub(crate) fn noun(&self, subject: Subject) -> Noun {
        match subject {
            Subject::Narrator => {
                Noun { text: "I".to_owned(), agreement: Agreement::First, pronouns: ["I", "me", "my"] }
            }
            Subject::Topic => self.topic.clone(),
            Subject::Person => self.person.clone(),
            Subject::Crowd => self.crowd.clone(),
        }
    }

    /// Whether the subject's next mention is its name, not a pronoun.
    pub(crate) fn is_unnamed(&self, subject: Subject) -> bool {
        let noun = self.noun(subject);
        noun.text != noun.pronouns[0] && !self.mentioned.contains(&subject)
    }

    /// Writes the subject: its name the first time in a unit, then the pronoun.
    pub(crate) fn subject(&mut self, subject: Subject, out: &mut Vec<Token>) {
        self.mention(subject, 0, out);
    }

    fn mention(&mut self, subject: Subject, pronoun: usize, out: &mut Vec<Token>) {
        let noun = self.noun(subject);
        if self.is_unnamed(subject) {
            self.mentioned.push(subject);
            self.write(&noun.text, subject, Form::Present, out);
        } else {
            out.push(self.token(noun.pronouns[pronoun], noun.pronouns[pronoun], Role::Plain));
        }
    }

    /// Writes a verb phrase: its `+` verbs in `form`, after `modal` if there is one.
    pub(crate) fn verb_phrase(
        &mut self,
        template: &str,
        subject: Subject,
        form: Form,
        modal: Option<&str>,
        out: &mut Vec<Token>,
    ) {
        let (negated, phrase) = match template.strip_prefix("! ") {
            Some(phrase) => (true, phrase),
            None => (false, template),
        };
        self.negated = negated;
        let mut form = form;
        if let Some(modal) = modal {
            self.write(modal, subject, form, out);
            form = Form::Bare;
        }
        if negated && matches!(form, Form::Present | Form::Past) {
            let text = match (form, self.noun(subject).agreement) {
                (Form::Past, _) => "did",
                (_, Agreement::Third) => "does",
                _ => "do",
            };
            out.push(self.token(text, "do", Role::Auxiliary));
            form = Form::Bare;
        }
        if negated {
            out.push(self.token("not", "not", Role::Plain));
        }
        self.write(phrase, subject, form, out);
        self.negated = false;
    }

    /// Writes any template. `subject` decides agreement and the pronouns `{our}` and `{us}`.
    pub(crate) fn write(&mut self, template: &str, subject: Subject, form: Form, out: &mut Vec<Token>) {
        for word in template.split_whitespace() {
            let core = word.trim_end_matches([',', '.', ';', ':']);
            if !core.is_empty() {
                self.word(core, subject, form, out);
            }
            for mark in word[core.len()..].chars() {
                out.push(self.token(&mark.to_string(), "", Role::Mark));
            }
        }
    }

    fn word(&mut self, word: &str, subject: Subject, form: Form, out: &mut Vec<Token>) {
        if let Some(slot) = word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return self.slot(slot, subject, form, out);
        }
        let (core, verb) = match word.split_once('+') {
            Some((core, mark)) => (core, Some(mark)),
            None => (word, None),
        };
        let (core, plural) = core.strip_suffix('*').map_or((core, false), |core| (core, true));
        let text = match core.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            Some(key) => lexicon::tiers(key).map_or(key.to_owned(), |tiers| self.pick(tiers).to_owned()),
            None => core.to_owned(),
        };
        let words: Vec<&str> = text.split(' ').collect();
        // An adverb in front of a synonym's verb (`really like`) leaves the inflection to the verb.
        let head = usize::from(matches!(words.first(), Some(&("really" | "firmly"))));
        for (place, word) in words.iter().enumerate() {
            let token = match verb {
                Some(mark) if place == head => self.verb(word, mark, subject, form),
                None if plural && place + 1 == words.len() => {
                    self.token(&morphology::plural(word), word, Role::Plural)
                }
                _ => self.plain(word),
            };
            out.push(token);
        }
    }

    fn plain(&self, word: &str) -> Token {
        match word {
            "a" | "an" => self.token("a", "a", Role::Article),
            "the" => self.token(word, word, Role::Article),
            "is" | "are" | "was" | "were" => self.token(word, "be", Role::Be),
            _ if PREPOSITIONS.contains(&word) => self.token(word, word, Role::Preposition),
            _ => self.token(word, word, Role::Plain),
        }
    }

    fn verb(&self, base: &str, mark: &str, subject: Subject, form: Form) -> Token {
        let agreement = self.noun(subject).agreement;
        let (form, agreement) = match mark {
            "s" => (Form::Present, Agreement::Third),
            "p" => (Form::Present, Agreement::Plural),
            "d" => (Form::Past, agreement),
            "g" => (Form::Gerund, agreement),
            "n" => (Form::Participle, agreement),
            _ => (form, agreement),
        };
        let (text, role) = match (form, agreement) {
            (Form::Present, Agreement::First) if base == "be" => ("am".to_owned(), Role::Be),
            (Form::Present, Agreement::Plural) if base == "be" => ("are".to_owned(), Role::Be),
            (Form::Past, Agreement::Plural) if base == "be" => ("were".to_owned(), Role::Be),
            (Form::Present, Agreement::Third) if base == "be" => ("is".to_owned(), Role::Be),
            (Form::Past, _) if base == "be" => ("was".to_owned(), Role::Be),
            (Form::Present, Agreement::Third) => (morphology::singular(base), Role::Singular),
            (Form::Present, _) => (base.to_owned(), Role::Present),
            (Form::Past, _) => (morphology::past(base), Role::Past),
            (Form::Gerund, _) => (morphology::gerund(base), Role::Gerund),
            (Form::Participle, _) => (morphology::participle(base), Role::Participle),
            (Form::Bare, _) => (base.to_owned(), Role::Bare),
        };
        self.token(&text, base, role)
    }

    fn slot(&mut self, slot: &str, subject: Subject, form: Form, out: &mut Vec<Token>) {
        let pronouns = self.noun(subject).pronouns;
        match slot {
            "we" => out.push(self.token(pronouns[0], pronouns[0], Role::Plain)),
            "us" => out.push(self.token(pronouns[1], pronouns[1], Role::Plain)),
            "our" => out.push(self.token(pronouns[2], pronouns[2], Role::Plain)),
            "topic" => self.mention(Subject::Topic, 1, out),
            "person" => self.mention(Subject::Person, 1, out),
            _ => {
                let detail = self.detail(slot);
                self.write(detail, subject, form, out);
            }
        }
    }

    fn detail(&mut self, slot: &str) -> &'static str {
        if let Some((_, detail)) = self.details.iter().find(|(name, _)| name == slot) {
            return detail;
        }
        let choices = names::slot(slot).unwrap_or_default();
        let detail = choices.get(rng::below(&mut self.rng, choices.len())).copied().unwrap_or_default();
        self.details.push((slot.to_owned(), detail));
        detail
    }

    /// A synonym from a tier that fits the level. Low levels like to repeat a word, high levels avoid it.
    fn pick(&mut self, tiers: &Tiers) -> &'static str {
        let tier = levels::tier(self.level, &mut self.tiers);
        let words = tiers[tier];
        let repeats = rng::below(&mut self.rng, 5000) as i64 > self.level;
        let mut best = (usize::MAX, "");
        let start = rng::below(&mut self.rng, words.len());
        for place in 0..words.len() {
            let word = words[(start + place) % words.len()];
            let uses = self.used.iter().filter(|used| **used == word).count();
            let cost = if repeats { usize::from(uses == 0) } else { uses };
            if cost < best.0 {
                best = (cost, word);
            }
        }
        self.used.push(best.1);
        best.1
    }

    fn token(&self, text: &str, base: &str, role: Role) -> Token {
        let mut token = Token::new(text, base, role);
        token.negated = self.negated;
        token
    }
}

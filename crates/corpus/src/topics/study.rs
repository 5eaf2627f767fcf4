//! Learning and growing up: school, homework, languages, jobs, friends, sleep.

use super::Topic;
use crate::wording::Subject::{Narrator as I, Person as P};

pub(super) const TOPICS: &[Topic] = &[
    Topic {
        names: [&["school"], &["school", "school life"], &["education", "formal education"]],
        praise: &[
            "open+ the door to a <good> <job>",
            "<helpto>+ us to ask better question*",
            "<show>+ us how to work with others",
            "<give>+ us <friend>* for many year*",
            "teach+ us to plan our time",
            "give+ every child the same chance",
        ],
        doubts: &[
            "start+ too early in the morning",
            "cause+ <much> <stress> before test*",
            "! leave+ any time for hobby*",
        ],
        habits: &["listen+ <carefully> in class", "work+ in small groups", "ask+ question* <daily>"],
        gains: &["<understand>+ <hard> subject*", "get+ better mark*", "finish+ school with good result*"],
        mine: &[
            "study+ {subject} with great interest",
            "go+ to school by {vehicle}",
            "sit+ next to my best friend in class",
        ],
        stories: &[
            [
                (P, "fail+ a {subject} test {when}"),
                (P, "feel+ <sad> for {number} day*"),
                (I, "study+ with {person} every afternoon"),
                (P, "pass+ the next test with a good mark"),
            ],
            [
                (I, "come+ to a new school {when}"),
                (I, "feel+ <lonely> among so many stranger*"),
                (P, "sit+ down next to me on the first day"),
                (I, "start+ to like the new school"),
            ],
        ],
        advice: &[
            "take+ school more seriously",
            "help+ <friend>* who find lesson* <hard>",
            "thank+ {our} <teacher>* once in a while",
        ],
    },
    Topic {
        names: [
            &["homework"],
            &["homework", "home task*"],
            &["homework", "independent study", "home assignment*"],
        ],
        praise: &[
            "<helpto>+ us to remember the lesson",
            "teach+ us to work alone",
            "show+ <teacher>* what we still need",
            "prepare+ us for <hard> test*",
            "give+ parent* a look into our school",
            "<improve>+ our mark* step by step",
        ],
        doubts: &[
            "make+ child* <tired> in the evening",
            "take+ time away from sport and music",
            "cause+ <stress> in many homes",
        ],
        habits: &[
            "do+ {our} homework before dinner",
            "plan+ {our} week on {weekday}",
            "study+ in a quiet room",
        ],
        gains: &[
            "<finish>+ {our} work <quickly>",
            "enjoy+ a free evening",
            "remember+ the lesson much longer",
        ],
        mine: &[
            "do+ my homework at the kitchen table",
            "spend+ {hours} on homework",
            "check+ my answers with {elder}",
        ],
        stories: &[
            [
                (P, "forget+ the {subject} homework {when}"),
                (P, "tell+ the teacher the truth"),
                (P, "<finish>+ everything the same night"),
                (P, "feel+ <happy> about it"),
            ],
            [
                (I, "have+ a <hard> {subject} task {when}"),
                (I, "call+ {person} for <advice>"),
                (P, "explain+ it with a simple picture"),
                (I, "understand+ everything in the end"),
            ],
        ],
        advice: &[
            "start+ {our} homework early",
            "turn+ off the television while studying",
            "ask+ for help when a task is <hard>",
        ],
    },
    Topic {
        names: [
            &["English", "language*"],
            &["foreign language*", "learning a language"],
            &["foreign language*", "language learning", "multilingual education"],
        ],
        praise: &[
            "<helpto>+ us to find a better <job>",
            "open+ a window to other culture*",
            "make+ travelling <easy> for everybody",
            "train+ our memory <daily>",
            "let+ us read book* from other country*",
            "bring+ <person>* from <different> country* together",
        ],
        doubts: &[
            "take+ many year* of practice",
            "make+ us afraid of <mistake>*",
            "! come+ easily to anybody",
        ],
        habits: &[
            "speak+ {language} <daily>",
            "learn+ {number} new word* a day",
            "watch+ film* in {language}",
        ],
        gains: &[
            "<talk>+ <person>* from other country*",
            "speak+ <well> and without fear",
            "find+ work in another country",
        ],
        mine: &[
            "study+ {language} every {weekday}",
            "write+ letter* in {language}",
            "speak+ {language} with {elder}",
        ],
        stories: &[
            [
                (I, "start+ to learn {language} {when}"),
                (I, "make+ a <mistake> in every sentence"),
                (P, "practise+ with me for {hours} a week"),
                (I, "speak+ {language} <well> on a trip"),
            ],
            [
                (P, "<meet>+ a tourist in our town {when}"),
                (P, "answer+ all the question* in {language}"),
                (I, "hear+ the whole conversation"),
                (I, "<decide>+ to study harder"),
            ],
        ],
        advice: &[
            "start+ learning a language early",
            "speak+ without fear of <mistake>*",
            "practise+ a little <daily>",
        ],
    },
    Topic {
        names: [
            &["work after school", "small job*"],
            &["part-time job*", "work after school"],
            &["part-time work", "student employment"],
        ],
        praise: &[
            "<show>+ us how hard it is to make money",
            "teach+ us to be on time",
            "<helpto>+ us to choose a <job> later",
            "<give>+ us money for book* <etc>",
            "make+ us feel <confident> with stranger*",
            "prepare+ us for life after school",
        ],
        doubts: &[
            "leave+ us <tired> before test*",
            "take+ hour* from our study*",
            "! pay+ any student enough",
        ],
        habits: &["work+ on {weekday}", "earn+ {our} own money", "help+ in a {shop} during the holidays"],
        gains: &[
            "learn+ to plan {our} time",
            "pay+ for a trip to {city}",
            "<understand>+ how hard {our} parent* work+p",
        ],
        mine: &[
            "work+ in a {shop} every {weekday}",
            "give+ lesson* in {subject} to small child*",
            "look+ after the child* of our neighbour*",
        ],
        stories: &[
            [
                (P, "start+ to work in a {shop} {when}"),
                (P, "make+ a serious <mistake> on the first day"),
                (P, "say+ sorry and work+ <carefully>"),
                (P, "earn+ enough money for a {gift}"),
            ],
            [
                (I, "need+ money for a {gift} {when}"),
                (I, "ask+ for work in a {shop}"),
                (P, "show+ me how everything worked"),
                (I, "get+ my first money after {number} day*"),
            ],
        ],
        advice: &[
            "try+ a small job in the holidays",
            "put+ school first and work second",
            "save+ what {we} earn+p",
        ],
    },
    Topic {
        names: [
            &["friend*", "good friend*"],
            &["friendship", "good friend*"],
            &["friendship", "close friendship*"],
        ],
        praise: &[
            "make+ a <bad> day <better>",
            "<give>+ us <advice> in a <hard> time",
            "<helpto>+ us to be ourselves",
            "make+ us laugh about our <mistake>*",
            "keep+ us from feeling <lonely>",
            "<shape>+ our <idea>* about the world",
        ],
        doubts: &[
            "need+ time that we do not always have",
            "disappoint+ us now and then",
            "lead+ us to <bad> decision* from time to time",
        ],
        habits: &[
            "listen+ without a phone in the hand",
            "tell+ each other the truth",
            "meet+ every {weekday}",
        ],
        gains: &["trust+ each other <alot>", "<solve>+ <hard> <problem>* together", "have+ <fun> on any day"],
        mine: &[
            "write+ to my best friend <daily>",
            "play+ {sport} with my <friend>*",
            "<admire>+ <person>* who can keep a secret",
        ],
        stories: &[
            [
                (I, "have+ an argument with {person} {when}"),
                (I, "stop+ speaking to {person} for a while"),
                (P, "come+ to my door with a {gift}"),
                (I, "say+ sorry and laugh+ about everything"),
            ],
            [
                (P, "be+ ill for {number} week* {when}"),
                (I, "take+ my note* to {person} <daily>"),
                (P, "come+ back to school"),
                (P, "thank+ me in front of the class"),
            ],
        ],
        advice: &[
            "be+ <kind> to new <person>* in class",
            "<forget>+ small <mistake>* of a good friend",
            "make+ time for old friend*",
        ],
    },
    Topic {
        names: [&["sleep"], &["sleep", "a good night's sleep"], &["sleep", "adequate rest", "regular sleep"]],
        praise: &[
            "<give>+ us energy for the next day",
            "<helpto>+ us to remember new word*",
            "keep+ us from getting ill",
            "<improve>+ our <health> without any cost",
            "make+ us <kind> to other <person>*",
            "<reduce>+ the <stress> of school",
        ],
        doubts: &[
            "take+ a third of our lives",
            "! come+ easily to worried people",
            "leave+ less time for friend* and film*",
        ],
        habits: &["go+ to bed before ten", "sleep+ eight hour* a night", "read+ a book before bed"],
        gains: &[
            "wake+ up without feeling <tired>",
            "think+ clearly in a test",
            "do+ sport with more energy",
        ],
        mine: &[
            "go+ to bed at ten every night",
            "sleep+ until noon on {weekday}",
            "drink+ warm milk before bed",
        ],
        stories: &[
            [
                (P, "play+ computer game* all night {when}"),
                (P, "fall+ asleep in the {subject} lesson"),
                (I, "take+ note* for {person}"),
                (P, "promise+ to go to bed early"),
            ],
            [
                (I, "sleep+ only {hours} before a test {when}"),
                (I, "forget+ everything in the morning"),
                (I, "talk+ to {elder} about it"),
                (I, "start+ to sleep longer"),
            ],
        ],
        advice: &[
            "sleep+ at least eight hour*",
            "put+ {our} phone* in another room at night",
            "go+ to bed at the same time <daily>",
        ],
    },
];

//! Free time: sport, music, films, reading, travel, pets, gardens.

use super::Topic;
use crate::wording::Subject::{Narrator as I, Person as P};

pub(super) const TOPICS: &[Topic] = &[
    Topic {
        names: [
            &["sport"],
            &["sport", "team sport*", "exercise"],
            &["physical exercise", "athletic training"],
        ],
        praise: &[
            "<helpto>+ us to work as a team",
            "keep+ our heart* and muscle* strong",
            "show+ us how to lose without being <sad>",
            "<give>+ us more energy for school and work",
            "<reduce>+ the <stress> of a long day",
            "<improve>+ our <health> and our sleep",
        ],
        doubts: &[
            "take+ <much> time after school",
            "cause+ small injury* from time to time",
            "be+ <boring> for <person>* who always lose",
        ],
        habits: &[
            "train+ together every week",
            "go+ for a run before breakfast",
            "play+ {sport} instead of computer game*",
        ],
        gains: &[
            "stay+ <healthy> for many year*",
            "make+ new <friend>* <quickly>",
            "forget+ {our} worries for a while",
        ],
        mine: &[
            "play+ {sport} twice a week",
            "watch+ every {sport} match of my school",
            "run+ in the park every {weekday}",
        ],
        stories: &[
            [
                (P, "join+ a {sport} team {when}"),
                (I, "go+ to the first match with my camera"),
                (P, "lose+ {number} game* in a row"),
                (P, "train+ <carefully> and win+ the last one"),
            ],
            [
                (I, "lose+ a race at school {when}"),
                (P, "invite+ me to train in the park"),
                (I, "run+ with {person} every evening"),
                (I, "finish+ a long race and feel+ <happy>"),
            ],
        ],
        advice: &[
            "do+ some sport {number} times a week",
            "take+ the stairs and walk+ to school",
            "<choose>+ a sport that {we} enjoy+p",
        ],
    },
    Topic {
        names: [&["music"], &["music", "song*"], &["music", "live music", "musical training"]],
        praise: &[
            "make+ us feel <calm> after a bad day",
            "bring+ <person>* from <different> country* together",
            "<helpto>+ us to say what we feel",
            "stay+ in our head* for many year*",
            "turn+ a <boring> journey into a <interesting> one",
            "<improve>+ our memory and our <health>",
        ],
        doubts: &[
            "disturb+ neighbour* who want to sleep",
            "take+ our attention away from the street",
            "! help+ anybody who needs silence",
        ],
        habits: &[
            "sing+ in a choir",
            "listen+ to music from other country*",
            "practise+ an instrument <daily>",
        ],
        gains: &[
            "<understand>+ other culture* better",
            "feel+ <confident> in front of a crowd",
            "<finish>+ {our} work with a smile",
        ],
        mine: &[
            "play+ the {instrument} in a small band",
            "listen+ to music on the {vehicle}",
            "sing+ in the kitchen when I cook",
        ],
        stories: &[
            [
                (P, "<find>+ an old {instrument} {when}"),
                (P, "<decide>+ to learn a few song*"),
                (P, "practise+ for {hours} every evening"),
                (I, "hear+ a wonderful concert in our living room"),
            ],
            [
                (I, "go+ to a concert in {city} {when}"),
                (I, "feel+ <happy> for a whole week"),
                (P, "hear+ my story* about the band"),
                (P, "buy+ {number} ticket* for the next concert"),
            ],
        ],
        advice: &[
            "learn+ to play a simple instrument",
            "listen+ to <different> kinds of music",
            "support+ the musician* in {our} town",
        ],
    },
    Topic {
        names: [&["film*"], &["film*", "good film*"], &["film*", "documentary film*", "the cinema"]],
        praise: &[
            "<show>+ us how <person>* live in other country*",
            "make+ us laugh and cry in one evening",
            "give+ family* something to talk about",
            "bring+ old story* back to life",
            "<helpto>+ us to forget a hard week",
            "open+ our eye* to <different> <idea>*",
        ],
        doubts: &[
            "give+ child* the wrong idea about life",
            "keep+ us on the sofa for {hours}",
            "show+ a world that is not real",
        ],
        habits: &[
            "watch+ film* in another language",
            "go+ to the cinema with {our} parent*",
            "<discuss>+ a film after the end",
        ],
        gains: &["<learn>+ <many> new word*", "see+ the world with other eye*", "have+ <fun> together"],
        mine: &[
            "watch+ a {film} every {weekday}",
            "keep+ a list of my favourite film*",
            "go+ to the cinema with {elder}",
        ],
        stories: &[
            [
                (P, "invite+ me to see a {film} {when}"),
                (I, "laugh+ so loudly that people looked at me"),
                (P, "write+ a short text about the film"),
                (I, "read+ it to our whole class"),
            ],
            [
                (I, "see+ a film about {city} {when}"),
                (I, "<decide>+ to learn more about that city"),
                (P, "lend+ me {number} book* about it"),
                (I, "plan+ a trip for the next {season}"),
            ],
        ],
        advice: &[
            "<choose>+ film* <carefully>",
            "watch+ fewer film* and make+ more of {our} own",
            "<discuss>+ film* at home",
        ],
    },
    Topic {
        names: [
            &["book*", "reading"],
            &["book*", "reading", "novel*"],
            &["literature", "reading for pleasure"],
        ],
        praise: &[
            "take+ us to <place>* that we cannot visit",
            "<give>+ us <many> new word*",
            "<show>+ us how other <person>* think",
            "keep+ us <calm> before we go to sleep",
            "<improve>+ our writing at school",
            "<helpto>+ us to think for ourselves",
        ],
        doubts: &[
            "be+ <boring> for <person>* who like action",
            "take+ more time than a film",
            "! give+ us any quick answers",
        ],
        habits: &[
            "read+ for {hours} <daily>",
            "visit+ the library once a week",
            "read+ aloud to {our} family*",
        ],
        gains: &[
            "write+ better story*",
            "<learn>+ new word* without <hard> exercise*",
            "<become>+ more patient",
        ],
        mine: &["read+ a {book} every month", "keep+ a book in my bag", "borrow+ book* from {elder}"],
        stories: &[
            [
                (P, "give+ me a {book} {when}"),
                (I, "start+ to read it on the {vehicle}"),
                (I, "miss+ my stop because of the story"),
                (I, "walk+ home with the book in my hand"),
            ],
            [
                (P, "hate+ reading {when}"),
                (I, "take+ {person} to the library"),
                (P, "borrow+ a {book} and read+ it in one night"),
                (P, "ask+ me for {number} more"),
            ],
        ],
        advice: &[
            "read+ something new every week",
            "give+ book* to {our} <friend>*",
            "turn+ off the television and open+ a book",
        ],
    },
    Topic {
        names: [
            &["travelling", "trip*"],
            &["travelling", "holiday*", "trip*"],
            &["travelling", "journey*", "foreign travel"],
        ],
        praise: &[
            "<show>+ us how big the world is",
            "<helpto>+ us to <understand> other culture*",
            "<give>+ us <many> good <memory>*",
            "<shape>+ the way we see our own country",
            "make+ us feel <confident> in new situations",
            "bring+ family* closer together",
        ],
        doubts: &[
            "cost+ <much> money",
            "be+ <expensive> for large family*",
            "<harm>+ <nature> when we fly too often",
        ],
        habits: &[
            "travel+ by train",
            "stay+ with family* in other country*",
            "leave+ {our} own country for a while",
        ],
        gains: &[
            "see+ <beautiful> <place>*",
            "taste+ <tasty> food",
            "<meet>+ <person>* with <different> <idea>*",
        ],
        mine: &[
            "visit+ a new place every {season}",
            "keep+ a diary of all my trip*",
            "save+ money for a trip to {city}",
        ],
        stories: &[
            [
                (I, "travel+ to {city} with {elder} {when}"),
                (I, "get+ lost in the <old> part of the city"),
                (I, "ask+ a <kind> woman for help"),
                (I, "see+ street* that no tourist knows"),
            ],
            [
                (P, "miss+ the train to {city} {when}"),
                (P, "have+ to wait for {hours} at the station"),
                (P, "talk+ to a student from another country"),
                (P, "make+ a <friend> for life"),
            ],
        ],
        advice: &[
            "see+ {our} own country first",
            "<visit>+ a new <place> every year",
            "learn+ a few word* before every trip",
        ],
    },
    Topic {
        names: [&["pet*", "animal*"], &["pet*", "animal*"], &["pet*", "domestic animal*"]],
        praise: &[
            "make+ us laugh when we are <sad>",
            "wait+ for us when we come home",
            "teach+ <child>* to be <careful>",
            "keep+ old people company",
            "<helpto>+ us to go outside <daily>",
            "<reduce>+ our <stress> in a hard week",
        ],
        doubts: &[
            "cost+ <much> money every month",
            "need+ somebody at home all day",
            "leave+ hair on every chair",
        ],
        habits: &["take+ a dog for a walk", "look+ after an animal", "feed+ a pet every morning"],
        gains: &[
            "<meet>+ neighbour* in the park",
            "stay+ <healthy> and happy",
            "learn+ to think about others",
        ],
        mine: &["have+ a {pet} at home", "feed+ my {pet} before school", "tell+ all my secrets to my {pet}"],
        stories: &[
            [
                (P, "<find>+ a small {pet} in the street {when}"),
                (P, "take+ it home in a box"),
                (I, "bring+ food and a warm blanket"),
                (P, "keep+ it and give+ it a funny name"),
            ],
            [
                (I, "lose+ my {pet} {when}"),
                (I, "feel+ <worried> for {number} day*"),
                (P, "see+ it in a garden near the school"),
                (I, "run+ there and take+ it home"),
            ],
        ],
        advice: &[
            "think+ <carefully> before {we} buy+p a pet",
            "adopt+ an animal instead of buying one",
            "be+ <kind> to every animal",
        ],
    },
    Topic {
        names: [&["garden*", "tree*"], &["garden*", "park*"], &["garden*", "green space*", "public garden*"]],
        praise: &[
            "make+ a grey city <beautiful>",
            "<give>+ us fresh air and <tasty> fruit",
            "<helpto>+ us to <understand> <nature>",
            "offer+ a quiet <place> to <person>* without a house",
            "<protect>+ birds and insects",
            "bring+ neighbour* together at the weekend",
        ],
        doubts: &[
            "need+ a lot of water in summer",
            "mean+ hard work in every {season}",
            "take+ space that city* want for houses",
        ],
        habits: &["grow+ {plant} on a balcony", "work+ in a garden after school", "plant+ a tree every year"],
        gains: &[
            "eat+ <tasty> food from {our} own hands",
            "feel+ <calm> in the evening",
            "<protect>+ <nature> in a small way",
        ],
        mine: &[
            "grow+ {plant} behind our house",
            "water+ the flower* for {elder}",
            "read+ under a tree every {weekday}",
        ],
        stories: &[
            [
                (P, "plant+ {plant} next to our school {when}"),
                (I, "bring+ water every morning"),
                (P, "see+ the first green leaf*"),
                (P, "call+ the whole class to the garden"),
            ],
            [
                (I, "help+ {elder} in the garden {when}"),
                (I, "learn+ the name* of {number} plant*"),
                (P, "visit+ us and taste+ the fruit"),
                (P, "start+ a small garden at home"),
            ],
        ],
        advice: &[
            "plant+ more tree* in {our} street*",
            "spend+ an hour a day outside",
            "grow+ something, even in a small pot",
        ],
    },
];

//! Home, city and other people: phones, family, food, cities, money, the internet, the environment.

use super::Topic;
use crate::wording::Subject::{Narrator as I, Person as P};

pub(super) const TOPICS: &[Topic] = &[
    Topic {
        names: [&["phone*"], &["mobile phone*", "smartphone*"], &["mobile device*", "smartphone*"]],
        praise: &[
            "<helpto>+ us to <talk> <person>* in other country*",
            "make+ it <easy> to find a street or a shop",
            "keep+ our photo* and message* in one small box",
            "save+ us <much> time <daily>",
            "bring+ <joy> to <person>* who live far from home",
            "<give>+ us music, map* <etc>",
        ],
        doubts: &[
            "have+ a <bad> <effect> on our sleep",
            "take+ our eye* off the road",
            "make+ it <hard> to listen to other <person>*",
        ],
        habits: &[
            "turn+ off {our} phone* at night",
            "<use>+ {our} phone* to study new word*",
            "leave+ {our} phone* at home for one day",
        ],
        gains: &[
            "wake+ up without feeling <tired>",
            "<talk>+ the people around {us}",
            "<finish>+ {our} work <quickly>",
        ],
        mine: &[
            "<use>+ my phone to read the news",
            "call+ {elder} every {weekday}",
            "take+ photo* of everything with my phone",
        ],
        stories: &[
            [
                (P, "lose+ {our} phone on a bus {when}"),
                (P, "feel+ <worried> and ask+ me for help"),
                (I, "call+ the driver from my own phone"),
                (P, "get+ it back the same evening"),
            ],
            [
                (I, "<visit>+ {city} without my phone {when}"),
                (I, "get+ lost near the station"),
                (P, "find+ me after {hours}"),
                (I, "promise+ to carry a phone <daily>"),
            ],
        ],
        advice: &[
            "put+ {our} phone* away during meal*",
            "<use>+ {our} phone* for <important> thing* only",
            "call+ {our} family* more often",
        ],
    },
    Topic {
        names: [
            &["family life", "my family"],
            &["family life", "family dinner*"],
            &["family life", "family bond*"],
        ],
        praise: &[
            "<give>+ us <advice> when we need it",
            "teach+ us to share and to forgive",
            "make+ us feel safe in a <hard> time",
            "<helpto>+ us to tell the truth",
            "fill+ the house with <joy>",
            "<shape>+ the people we become later",
        ],
        doubts: &[
            "bring+ loud argument* from time to time",
            "leave+ us little time for ourselves",
            "! give+ anybody a quiet evening",
        ],
        habits: &["eat+ together every evening", "listen+ to {our} grandparent*", "share+ the work at home"],
        gains: &[
            "<solve>+ most <problem>* at the table",
            "feel+ less alone in the world",
            "<understand>+ each other better",
        ],
        mine: &[
            "have+ dinner with {elder} every {weekday}",
            "help+ my parent* in the kitchen",
            "tell+ my family about my day",
        ],
        stories: &[
            [
                (I, "have+ a <hard> week at school {when}"),
                (I, "tell+ {elder} everything"),
                (P, "come+ to our house with a cake"),
                (I, "forget+ my <problem>* and smile+ again"),
            ],
            [
                (P, "move+ to {city} with {our} parent* {when}"),
                (P, "feel+ <lonely> in the new flat"),
                (P, "call+ {our} grandparent* every evening"),
                (P, "feel+ <happy> again after a month"),
            ],
        ],
        advice: &[
            "spend+ more time with {our} family*",
            "thank+ {our} parent* more often",
            "<solve>+ small <problem>* before {we} go+p to bed",
        ],
    },
    Topic {
        names: [
            &["food", "home food"],
            &["healthy food", "home cooking"],
            &["healthy food", "home cooking", "balanced nutrition"],
        ],
        praise: &[
            "keep+ our body* strong",
            "bring+ the family to one table",
            "taste+ better than food from a box",
            "save+ <much> money every month",
            "<give>+ us energy for the whole day",
            "protect+ us from illness in winter",
        ],
        doubts: &[
            "take+ <much> time in the evening",
            "be+ <expensive> in big city*",
            "mean+ a lot of dirty plate*",
        ],
        habits: &["cook+ at home", "eat+ fruit instead of sweet*", "drink+ more water"],
        gains: &["stay+ <healthy> all year", "save+ money for a <good> holiday", "sleep+ <well> at night"],
        mine: &[
            "cook+ {dish} every {weekday}",
            "buy+ vegetable* at the market",
            "eat+ breakfast with {elder}",
        ],
        stories: &[
            [
                (P, "teach+ me to cook {dish} {when}"),
                (I, "burn+ the first {number} portions"),
                (I, "follow+ each step <carefully>"),
                (I, "serve+ a <tasty> dinner to {number} guest*"),
            ],
            [
                (I, "eat+ nothing but fast food {when}"),
                (I, "feel+ <tired> all day"),
                (P, "invite+ me for {dish}"),
                (I, "change+ the way I eat"),
            ],
        ],
        advice: &[
            "cook+ at home {number} day* a week",
            "eat+ more vegetable* and less sugar",
            "learn+ to make {number} simple meal*",
        ],
    },
    Topic {
        names: [
            &["city life", "big city*"],
            &["city life", "big city*"],
            &["city life", "urban life", "modern city*"],
        ],
        praise: &[
            "offer+ <much> choice to young people",
            "make+ it <easy> to find a <job>",
            "<give>+ us theatres, shop* <etc>",
            "bring+ <person>* with <different> <idea>* together",
            "let+ us live without a car",
            "<helpto>+ us to <meet> new <person>*",
        ],
        doubts: &[
            "make+ many <person>* feel <lonely>",
            "be+ <crowded> in the morning",
            "<harm>+ our <health> with noise and dirty air",
        ],
        habits: &["live+ near the centre", "take+ the {vehicle} to school", "talk+ to {our} neighbour*"],
        gains: &["save+ <much> time", "find+ a <interesting> <job>", "feel+ at home in a big city"],
        mine: &[
            "live+ in a small flat near the station",
            "walk+ through the <old> street* every {weekday}",
            "take+ the {vehicle} to the centre",
        ],
        stories: &[
            [
                (P, "move+ to {city} {when}"),
                (P, "get+ lost in the <crowded> street*"),
                (P, "<meet>+ a <kind> neighbour"),
                (P, "start+ to love the new city"),
            ],
            [
                (I, "spend+ a week in {city} {when}"),
                (I, "go+ to {number} museums"),
                (P, "show+ me a <beautiful> market"),
                (I, "<decide>+ to come back in {season}"),
            ],
        ],
        advice: &[
            "build+ more parks in {our} city*",
            "use+ the bus instead of a car",
            "say+ hello to {our} neighbour*",
        ],
    },
    Topic {
        names: [&["money"], &["money", "saving money"], &["financial planning", "saving money"]],
        praise: &[
            "<helpto>+ us to plan the future",
            "keep+ us safe in a <hard> time",
            "make+ a <good> education possible",
            "<give>+ us freedom in small thing*",
            "let+ us help <person>* in need",
            "<shape>+ many of our plan*",
        ],
        doubts: &[
            "! buy+ any real friend*",
            "cause+ argument* between <friend>*",
            "make+ some <person>* forget what counts",
        ],
        habits: &[
            "save+ a little every month",
            "write+ down what {we} buy+p",
            "wait+ before buying a <expensive> thing",
        ],
        gains: &[
            "<buy>+ the thing* that really matter",
            "sleep+ without <stress>",
            "pay+ for {our} own study*",
        ],
        mine: &[
            "save+ some coin* every {weekday}",
            "put+ my birthday money in a box",
            "ask+ {elder} before I buy anything <expensive>",
        ],
        stories: &[
            [
                (P, "want+ a new {gift} {when}"),
                (P, "work+ in a {shop} for {number} week*"),
                (P, "save+ every coin in a glass"),
                (P, "<buy>+ it without help from anybody"),
            ],
            [
                (I, "<waste>+ all my money on game* {when}"),
                (I, "feel+ <sad> about my <mistake>"),
                (P, "show+ me a simple plan"),
                (I, "save+ enough for a {gift}"),
            ],
        ],
        advice: &[
            "save+ a small part of {our} money",
            "learn+ about money at school",
            "<buy>+ fewer thing* but better ones",
        ],
    },
    Topic {
        names: [
            &["the internet"],
            &["the internet", "social media"],
            &["the internet", "social network*", "online communication"],
        ],
        praise: &[
            "<give>+ us <info> in a few seconds",
            "make+ it <easy> to study at home",
            "<helpto>+ us to find old friend*",
            "give+ a voice to <person>* in small villages",
            "open+ the door to free lesson* <etc>",
            "keep+ family* together over long distances",
        ],
        doubts: &[
            "spread+ lies as fast as the truth",
            "steal+ hour* from our sleep",
            "make+ young people compare themselves with others",
        ],
        habits: &[
            "check+ where a story comes from",
            "take+ free courses online",
            "close+ the computer at nine",
        ],
        gains: &[
            "<get>+ <info> that {we} can trust",
            "<improve>+ {our} English at home",
            "<meet>+ <person>* who share {our} interest*",
        ],
        mine: &[
            "look+ for new recipe* online",
            "<talk>+ my cousin* online every {weekday}",
            "spend+ {hours} a day online",
        ],
        stories: &[
            [
                (P, "believe+ a false story online {when}"),
                (P, "send+ it to {number} <friend>*"),
                (I, "check+ the fact* in the library"),
                (P, "say+ sorry to everybody"),
            ],
            [
                (I, "have+ a <hard> time with {subject} {when}"),
                (I, "find+ a free lesson online"),
                (I, "watch+ it {number} times"),
                (I, "explain+ the answer to {person}"),
            ],
        ],
        advice: &[
            "think+ before {we} share+p anything",
            "<protect>+ {our} name* and photo*",
            "spend+ fewer hour* online",
        ],
    },
    Topic {
        names: [
            &["recycling"],
            &["recycling", "a green way of life"],
            &["recycling", "environmental protection", "a sustainable way of life"],
        ],
        praise: &[
            "<protect>+ the animal* around us",
            "keep+ our river* and beach* clean",
            "<helpto>+ us to waste less",
            "give+ our child* a better future",
            "make+ our town* <beautiful>",
            "<improve>+ our <health> and our mood",
        ],
        doubts: &[
            "cost+ city* <much> money",
            "! bring+ any quick result*",
            "demand+ time that busy people do not have",
        ],
        habits: &["recycle+ paper and glass", "ride+ a bicycle to work", "carry+ {our} own bag* to the shop"],
        gains: &[
            "<reduce>+ the rubbish in {our} street*",
            "<protect>+ <nature> for {our} child*",
            "set+ a <good> example for others",
        ],
        mine: &[
            "collect+ old paper every {weekday}",
            "ride+ my bicycle in every season",
            "turn+ off the light* behind my family",
        ],
        stories: &[
            [
                (P, "see+ <much> rubbish near the river {when}"),
                (P, "call+ me and {number} <friend>*"),
                (I, "bring+ bag* and glove* for everybody"),
                (I, "see+ clean water after {hours}"),
            ],
            [
                (I, "forget+ to recycle {when}"),
                (P, "explain+ the rules to me"),
                (I, "put+ {number} box* in our kitchen"),
                (I, "<reduce>+ our rubbish by half"),
            ],
        ],
        advice: &[
            "use+ less plastic <daily>",
            "teach+ <child>* to love <nature>",
            "plant+ tree* and save+ water",
        ],
    },
];

//! Synonyms in three tiers. Every word of a set fits every place where the set's key is used.
//!
//! Verbs stand in their base form and inflect on the first word (`rely on`, `relied on`); nouns stand in the
//! singular and inflect on the last.

/// Basic, intermediate and advanced words for one meaning.
pub(crate) type Tiers = [&'static [&'static str]; 3];

/// The synonyms for `key`, or `None` when the lists lack it.
pub(crate) fn tiers(key: &str) -> Option<&'static Tiers> {
    SETS.iter().find(|(name, _)| *name == key).map(|(_, tiers)| tiers)
}

/// Every key, for tests.
#[cfg(test)]
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|(key, _)| *key)
}

const SETS: &[(&str, Tiers)] = &[
    // Adjectives, before a noun or after "be" alike unless the line says otherwise.
    (
        "important",
        [
            &["important", "very important", "really important", "good and important"],
            &["significant", "valuable", "necessary", "useful"],
            &["essential", "indispensable", "crucial", "vital", "fundamental"],
        ],
    ),
    (
        "good",
        [
            &["good", "very good", "nice", "very nice", "really good"],
            &["wonderful", "excellent", "great"],
            &["rewarding", "beneficial", "worthwhile", "invaluable"],
        ],
    ),
    (
        "bad",
        [
            &["bad", "very bad", "really bad"],
            &["negative", "harmful", "terrible"],
            &["detrimental", "damaging", "adverse", "corrosive"],
        ],
    ),
    (
        "big",
        [
            &["big", "very big", "really big"],
            &["huge", "major", "great", "real"],
            &["considerable", "substantial", "remarkable", "profound"],
        ],
    ),
    (
        "hard",
        [
            &["hard", "very hard", "really hard"],
            &["difficult", "tough", "complicated"],
            &["demanding", "challenging", "arduous"],
        ],
    ),
    ("easy", [&["easy", "very easy"], &["simple", "convenient"], &["effortless", "straightforward"]]),
    // After "be" or "feel", of people.
    (
        "happy",
        [
            &["happy", "very happy", "glad"],
            &["cheerful", "pleased", "delighted"],
            &["overjoyed", "elated", "thrilled"],
        ],
    ),
    (
        "sad",
        [
            &["sad", "very sad", "so sad"],
            &["upset", "unhappy", "disappointed"],
            &["miserable", "dejected", "disheartened"],
        ],
    ),
    (
        "tired",
        [&["tired", "very tired", "so tired"], &["exhausted", "sleepy"], &["drained", "weary", "lethargic"]],
    ),
    (
        "worried",
        [
            &["worried", "scared", "afraid"],
            &["nervous", "anxious", "concerned"],
            &["apprehensive", "uneasy", "distressed"],
        ],
    ),
    (
        "lonely",
        [
            &["alone", "lonely", "bad and alone"],
            &["isolated", "left out"],
            &["alienated", "desolate", "cut off"],
        ],
    ),
    (
        "confident",
        [&["good", "strong", "brave"], &["confident", "proud"], &["self-assured", "empowered", "capable"]],
    ),
    ("calm", [&["calm", "quiet"], &["relaxed", "peaceful"], &["serene", "tranquil", "composed"]]),
    (
        "healthy",
        [&["strong", "well"], &["healthy", "fit", "active"], &["vigorous", "resilient", "energised"]],
    ),
    (
        "careful",
        [
            &["careful", "good", "very careful"],
            &["sensible", "responsible"],
            &["prudent", "conscientious", "disciplined"],
        ],
    ),
    // Before a noun or after "be", of things and places.
    (
        "interesting",
        [
            &["nice", "interesting", "very interesting", "fun"],
            &["fascinating", "exciting", "enjoyable"],
            &["captivating", "stimulating", "engaging", "thought-provoking"],
        ],
    ),
    (
        "beautiful",
        [
            &["beautiful", "nice", "pretty", "very nice"],
            &["lovely", "attractive", "charming"],
            &["picturesque", "breathtaking", "spectacular"],
        ],
    ),
    (
        "kind",
        [
            &["kind", "nice", "good"],
            &["friendly", "generous", "helpful"],
            &["compassionate", "considerate", "selfless"],
        ],
    ),
    (
        "expensive",
        [&["expensive", "very expensive"], &["costly", "overpriced"], &["exorbitant", "extravagant"]],
    ),
    (
        "tasty",
        [
            &["good", "tasty", "very good", "nice"],
            &["delicious", "fresh"],
            &["exquisite", "mouth-watering", "flavoursome"],
        ],
    ),
    ("old", [&["old", "very old"], &["ancient", "traditional"], &["historic", "time-honoured", "venerable"]]),
    ("different", [&["different", "other"], &["various", "varied"], &["diverse", "contrasting"]]),
    ("crowded", [&["full", "very full", "busy"], &["crowded", "packed"], &["congested", "overcrowded"]]),
    (
        "boring",
        [&["boring", "bad", "very boring"], &["dull", "tiring"], &["monotonous", "tedious", "uninspiring"]],
    ),
    // Adverbs before a verb, then at the end of a clause.
    (
        "often",
        [
            &["often", "always"],
            &["usually", "frequently", "regularly"],
            &["invariably", "habitually", "consistently"],
        ],
    ),
    (
        "quickly",
        [&["fast", "very fast", "soon"], &["quickly", "rapidly"], &["swiftly", "promptly", "in no time"]],
    ),
    (
        "alot",
        [
            &["a lot", "very much", "so much"],
            &["a great deal", "greatly"],
            &["immensely", "enormously", "tremendously", "considerably"],
        ],
    ),
    (
        "well",
        [
            &["well", "good and well"],
            &["successfully", "with confidence"],
            &["competently", "with ease", "skilfully"],
        ],
    ),
    (
        "carefully",
        [
            &["well", "with care"],
            &["carefully", "properly"],
            &["with great care", "attentively", "with the utmost care"],
        ],
    ),
    (
        "daily",
        [
            &["every day", "all the time"],
            &["each day", "every single day"],
            &["on a daily basis", "day after day"],
        ],
    ),
    // Verbs.
    // us to do something
    (
        "helpto",
        [&["help", "help"], &["encourage", "allow", "teach"], &["enable", "inspire", "motivate", "empower"]],
    ),
    (
        "improve",
        [
            &["help", "change"],
            &["improve", "develop", "support"],
            &["enhance", "strengthen", "enrich", "boost"],
        ],
    ),
    ("harm", [&["hurt"], &["damage", "harm"], &["endanger", "undermine", "jeopardise"]]),
    // us how, us that
    ("show", [&["show", "tell"], &["teach", "remind"], &["demonstrate to", "reveal to"]]),
    ("think", [&["think", "feel"], &["believe", "suppose"], &["maintain", "firmly believe", "would argue"]]),
    (
        "like",
        [&["like", "love", "really like"], &["enjoy", "appreciate"], &["relish", "treasure", "cherish"]],
    ),
    ("use", [&["use"], &["rely on", "make use of"], &["depend on", "employ"]]),
    ("get", [&["get", "have"], &["gain", "receive", "develop"], &["acquire", "accumulate", "cultivate"]]),
    ("learn", [&["learn", "know"], &["discover", "study", "practise"], &["master", "absorb", "grasp"]]),
    ("waste", [&["lose", "lose"], &["waste", "throw away"], &["squander", "fritter away"]]),
    (
        "meet",
        [&["meet", "see"], &["get to know", "make friends with"], &["encounter", "connect with", "befriend"]],
    ),
    (
        "talk",
        [&["talk to", "speak to"], &["communicate with", "chat with"], &["interact with", "converse with"]],
    ),
    ("cause", [&["make", "bring"], &["cause", "create"], &["generate", "provoke", "give rise to"]]),
    ("protect", [&["save", "help"], &["protect", "look after"], &["preserve", "safeguard"]]),
    ("understand", [&["know", "understand"], &["understand"], &["comprehend", "appreciate", "grasp"]]),
    ("buy", [&["buy", "get"], &["purchase", "order"], &["acquire", "invest in"]]),
    ("tryto", [&["try to", "want to"], &["attempt to", "aim to"], &["strive to", "endeavour to"]]),
    ("solve", [&["fix", "work on"], &["solve", "deal with"], &["tackle", "resolve", "overcome"]]),
    ("shape", [&["change"], &["affect", "influence"], &["shape", "transform", "mould"]]),
    ("become", [&["get"], &["become", "feel"], &["grow", "become"]]),
    ("visit", [&["go to", "see"], &["visit", "travel to"], &["explore", "venture to"]]),
    ("finish", [&["do", "finish"], &["complete", "get through"], &["accomplish", "finalise"]]),
    ("reduce", [&["stop", "cut"], &["reduce", "lower"], &["lessen", "diminish", "minimise"]]),
    ("forget", [&["forget"], &["ignore", "overlook"], &["disregard", "pay no attention to"]]),
    ("give", [&["give"], &["offer"], &["grant", "afford"]]),
    ("find", [&["find", "see"], &["discover", "come across"], &["stumble upon", "unearth"]]),
    // to do something
    ("decide", [&["decide", "want"], &["decide", "choose"], &["resolve", "opt"]]),
    ("discuss", [&["talk about", "speak about"], &["discuss", "chat about"], &["debate", "reflect on"]]),
    ("choose", [&["take", "pick"], &["choose", "prefer"], &["select", "opt for"]]),
    ("admire", [&["like", "love"], &["admire", "respect"], &["look up to", "hold dear"]]),
    // After "make" and a noun.
    ("better", [&["better", "good"], &["richer", "brighter"], &["more fulfilling", "more meaningful"]]),
    // Nouns.
    ("child", [&["kid"], &["child"], &["youngster", "adolescent"]]),
    ("teacher", [&["teacher"], &["teacher"], &["educator", "instructor", "mentor"]]),
    (
        "problem",
        [&["problem", "bad thing"], &["difficulty", "issue"], &["obstacle", "complication", "setback"]],
    ),
    ("skill", [&["thing", "new thing"], &["skill", "ability"], &["competence", "aptitude", "capability"]]),
    ("idea", [&["idea"], &["opinion", "thought", "idea"], &["perspective", "viewpoint", "outlook"]]),
    ("friend", [&["friend"], &["friend", "classmate"], &["companion", "peer", "acquaintance"]]),
    ("job", [&["job"], &["job", "career"], &["profession", "occupation", "vocation"]]),
    ("place", [&["place"], &["area", "spot", "region"], &["location", "destination", "landscape"]]),
    ("part", [&["part"], &["part", "aspect"], &["component", "element", "facet"]]),
    ("effect", [&["effect"], &["influence", "effect"], &["impact", "influence"]]),
    ("goal", [&["dream", "plan"], &["goal", "aim", "target"], &["ambition", "aspiration", "objective"]]),
    ("memory", [&["memory", "thing"], &["memory", "moment"], &["recollection", "impression"]]),
    ("mistake", [&["mistake"], &["mistake", "error"], &["blunder", "misstep"]]),
    ("person", [&["person", "guy"], &["person"], &["individual", "citizen"]]),
    // Nouns without an article: the whole phrase.
    (
        "fun",
        [
            &["fun", "a good time", "a nice time"],
            &["a lot of fun", "a great time"],
            &["an unforgettable time", "a memorable time"],
        ],
    ),
    (
        "joy",
        [
            &["fun", "good feelings", "happy feelings"],
            &["joy", "pleasure", "happiness"],
            &["fulfilment", "satisfaction", "delight"],
        ],
    ),
    ("stress", [&["stress", "trouble"], &["pressure", "stress"], &["anxiety", "tension", "strain"]]),
    ("health", [&["health"], &["health", "fitness"], &["well-being", "vitality"]]),
    (
        "advice",
        [&["help", "good help"], &["advice", "support"], &["guidance", "encouragement", "reassurance"]],
    ),
    (
        "info",
        [
            &["stuff", "things"],
            &["information", "facts"],
            &["knowledge", "evidence", "up-to-date information"],
        ],
    ),
    (
        "nature",
        [
            &["nature", "trees and things"],
            &["nature", "the natural world"],
            &["the environment", "wildlife", "the living world"],
        ],
    ),
    // Before a plural, then before a mass noun.
    (
        "many",
        [
            &["many", "a lot of", "so many"],
            &["several", "plenty of", "numerous"],
            &["countless", "a great variety of", "a multitude of"],
        ],
    ),
    (
        "much",
        [
            &["a lot of", "so much", "lots of"],
            &["plenty of", "a great deal of"],
            &["a considerable amount of", "a vast amount of"],
        ],
    ),
    // Ends of a list: vague, then precise.
    (
        "etc",
        [
            &["and stuff", "and things like that", "and many things"],
            &["and so on", "and much more"],
            &["and a great deal more", "and a great deal besides"],
        ],
    ),
    // Comments and linking words, where a comma follows.
    (
        "surely",
        [
            &["of course", "yes", "well"],
            &["clearly", "in fact", "naturally"],
            &["undeniably", "unquestionably", "evidently", "indisputably"],
        ],
    ),
    ("finally", [&["luckily", "in the end"], &["fortunately", "finally"], &["ultimately", "eventually"]]),
    (
        "also",
        [
            &["also"],
            &["moreover", "in addition", "besides"],
            &["furthermore", "what is more", "additionally"],
        ],
    ),
    (
        "however",
        [
            &["but then", "still"],
            &["however", "on the other hand"],
            &["nevertheless", "nonetheless", "even so"],
        ],
    ),
    ("result", [&["then", "after this"], &["as a result", "therefore"], &["consequently", "accordingly"]]),
    (
        "example",
        [
            &["for example"],
            &["for instance", "for example"],
            &["to illustrate", "to give one example", "as an illustration"],
        ],
    ),
    ("should", [&["should", "must"], &["should", "need to"], &["ought to", "would do well to"]]),
];

//! Inflection of the verbs and nouns in the word lists: irregular forms by table, the rest by rule.

/// Base, past, past participle.
const IRREGULAR: &[(&str, &str, &str)] = &[
    ("be", "was", "been"),
    ("become", "became", "become"),
    ("begin", "began", "begun"),
    ("break", "broke", "broken"),
    ("bring", "brought", "brought"),
    ("build", "built", "built"),
    ("buy", "bought", "bought"),
    ("catch", "caught", "caught"),
    ("choose", "chose", "chosen"),
    ("come", "came", "come"),
    ("cost", "cost", "cost"),
    ("cut", "cut", "cut"),
    ("deal", "dealt", "dealt"),
    ("do", "did", "done"),
    ("draw", "drew", "drawn"),
    ("drink", "drank", "drunk"),
    ("drive", "drove", "driven"),
    ("eat", "ate", "eaten"),
    ("fall", "fell", "fallen"),
    ("feed", "fed", "fed"),
    ("feel", "felt", "felt"),
    ("fight", "fought", "fought"),
    ("find", "found", "found"),
    ("forget", "forgot", "forgotten"),
    ("get", "got", "got"),
    ("give", "gave", "given"),
    ("go", "went", "gone"),
    ("grow", "grew", "grown"),
    ("have", "had", "had"),
    ("hear", "heard", "heard"),
    ("hold", "held", "held"),
    ("hurt", "hurt", "hurt"),
    ("keep", "kept", "kept"),
    ("know", "knew", "known"),
    ("lead", "led", "led"),
    ("leave", "left", "left"),
    ("lend", "lent", "lent"),
    ("let", "let", "let"),
    ("lose", "lost", "lost"),
    ("make", "made", "made"),
    ("mean", "meant", "meant"),
    ("meet", "met", "met"),
    ("overcome", "overcame", "overcome"),
    ("pay", "paid", "paid"),
    ("put", "put", "put"),
    ("read", "read", "read"),
    ("ride", "rode", "ridden"),
    ("rise", "rose", "risen"),
    ("run", "ran", "run"),
    ("say", "said", "said"),
    ("see", "saw", "seen"),
    ("sell", "sold", "sold"),
    ("send", "sent", "sent"),
    ("set", "set", "set"),
    ("show", "showed", "shown"),
    ("shut", "shut", "shut"),
    ("sing", "sang", "sung"),
    ("sit", "sat", "sat"),
    ("sleep", "slept", "slept"),
    ("speak", "spoke", "spoken"),
    ("spend", "spent", "spent"),
    ("spread", "spread", "spread"),
    ("stand", "stood", "stood"),
    ("steal", "stole", "stolen"),
    ("strive", "strove", "striven"),
    ("swim", "swam", "swum"),
    ("take", "took", "taken"),
    ("teach", "taught", "taught"),
    ("tell", "told", "told"),
    ("think", "thought", "thought"),
    ("throw", "threw", "thrown"),
    ("understand", "understood", "understood"),
    ("wake", "woke", "woken"),
    ("wear", "wore", "worn"),
    ("win", "won", "won"),
    ("write", "wrote", "written"),
];

/// Verbs that double their last letter before -ed and -ing.
const DOUBLING: &[&str] = &[
    "begin", "chat", "cut", "drop", "forget", "get", "jog", "let", "plan", "prefer", "put", "run", "set",
    "shop", "shut", "sit", "stop", "swim", "travel", "win",
];

const IRREGULAR_PLURALS: &[(&str, &str)] = &[
    ("child", "children"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("man", "men"),
    ("person", "people"),
    ("woman", "women"),
];

/// Third person singular present: help, helps.
pub(crate) fn singular(base: &str) -> String {
    match base {
        "be" => "is".to_owned(),
        "have" => "has".to_owned(),
        "do" | "go" => format!("{base}es"),
        _ => add_s(base),
    }
}

/// Simple past: help, helped.
pub(crate) fn past(base: &str) -> String {
    irregular(base).map_or_else(|| regular_past(base), |(past, _)| past.to_owned())
}

/// Past participle: take, taken.
pub(crate) fn participle(base: &str) -> String {
    irregular(base).map_or_else(|| regular_past(base), |(_, participle)| participle.to_owned())
}

/// The -ing form: make, making.
pub(crate) fn gerund(base: &str) -> String {
    let stem = match base.strip_suffix('e') {
        Some(stem) if !base.ends_with("ee") && base != "be" => stem.to_owned(),
        _ => doubled(base),
    };
    format!("{stem}ing")
}

/// Plural of a noun: friend, friends.
pub(crate) fn plural(base: &str) -> String {
    let table = IRREGULAR_PLURALS.iter().find(|(one, _)| *one == base);
    table.map_or_else(|| add_s(base), |(_, many)| (*many).to_owned())
}

/// The -ed form by rule, which learners also put on irregular verbs: go, goed.
pub(crate) fn regular_past(base: &str) -> String {
    if base.ends_with('e') {
        format!("{base}d")
    } else if let Some(stem) = after_consonant_y(base) {
        format!("{stem}ied")
    } else {
        format!("{}ed", doubled(base))
    }
}

/// The -s form by rule, for verbs and nouns alike; learners also put it on irregular nouns: child, childs.
pub(crate) fn add_s(base: &str) -> String {
    if let Some(stem) = after_consonant_y(base) {
        format!("{stem}ies")
    } else if ["s", "x", "z", "ch", "sh", "potato", "tomato"].iter().any(|end| base.ends_with(end)) {
        format!("{base}es")
    } else {
        format!("{base}s")
    }
}

fn irregular(base: &str) -> Option<(&'static str, &'static str)> {
    IRREGULAR.iter().find(|(verb, ..)| *verb == base).map(|&(_, past, participle)| (past, participle))
}

fn doubled(base: &str) -> String {
    match base.chars().last() {
        Some(last) if DOUBLING.contains(&base) => format!("{base}{last}"),
        _ => base.to_owned(),
    }
}

fn after_consonant_y(base: &str) -> Option<&str> {
    base.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_and_irregular_forms() {
        let forms = |base| [singular(base), past(base), participle(base), gerund(base)];
        assert_eq!(forms("study"), ["studies", "studied", "studied", "studying"]);
        assert_eq!(forms("stop"), ["stops", "stopped", "stopped", "stopping"]);
        assert_eq!(forms("take"), ["takes", "took", "taken", "taking"]);
        assert_eq!(forms("be"), ["is", "was", "been", "being"]);
        assert_eq!(forms("agree"), ["agrees", "agreed", "agreed", "agreeing"]);
        assert_eq!(["child", "party", "box"].map(plural), ["children", "parties", "boxes"]);
    }
}

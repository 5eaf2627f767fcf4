//! What fills the `{slots}`: people, places, times and other details, drawn once per essay.

/// The alternatives of a slot, or `None` when there is no such slot.
pub(crate) fn slot(name: &str) -> Option<&'static [&'static str]> {
    SLOTS.iter().find(|(key, _)| *key == name).map(|(_, words)| *words)
}

/// First names with their pronoun.
pub(crate) const FIRST_NAMES: &[(&str, Gender)] = &[
    ("Ana", Gender::She),
    ("Omar", Gender::He),
    ("Lin", Gender::She),
    ("Marco", Gender::He),
    ("Sofia", Gender::She),
    ("David", Gender::He),
    ("Amina", Gender::She),
    ("Pavel", Gender::He),
    ("Maria", Gender::She),
    ("Hugo", Gender::He),
    ("Yuki", Gender::She),
    ("Samir", Gender::He),
    ("Elena", Gender::She),
    ("Tomas", Gender::He),
    ("Grace", Gender::She),
    ("Victor", Gender::He),
];

/// What somebody is to the writer; a name follows.
pub(crate) const TIES: &[&str] =
    &["my friend", "my cousin", "my classmate", "my neighbour", "my best friend"];

/// Pronouns of a named person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gender {
    She,
    He,
}

const SLOTS: &[(&str, &[&str])] = &[
    (
        "when",
        &[
            "last summer",
            "last winter",
            "last spring",
            "last year",
            "last month",
            "two years ago",
            "three weeks ago",
            "a few months ago",
            "one year ago",
            "during the holidays",
            "in March",
            "in September",
        ],
    ),
    (
        "elder",
        &[
            "my mother",
            "my father",
            "my grandmother",
            "my grandfather",
            "my aunt",
            "my uncle",
            "my older sister",
            "my older brother",
        ],
    ),
    (
        "voice",
        &[
            "my mother",
            "my father",
            "my grandmother",
            "my uncle",
            "my English teacher",
            "my coach",
            "our neighbour",
            "a friend of mine",
            "the director of my school",
        ],
    ),
    (
        "city",
        &[
            "Lisbon", "Hanoi", "Toronto", "Lima", "Nairobi", "Osaka", "Krakow", "Istanbul", "Valencia",
            "Dublin", "Oslo",
        ],
    ),
    ("sport", &["football", "tennis", "basketball", "volleyball", "handball", "badminton"]),
    (
        "dish",
        &[
            "vegetable soup",
            "rice with beans",
            "chicken curry",
            "fish stew",
            "potato salad",
            "lentil soup",
            "apple cake",
        ],
    ),
    ("subject", &["history", "biology", "maths", "geography", "chemistry", "physics"]),
    ("language", &["Spanish", "English", "Japanese", "German", "Arabic", "Italian", "Portuguese"]),
    ("pet", &["dog", "cat", "rabbit", "parrot", "hamster"]),
    ("instrument", &["guitar", "piano", "violin", "flute", "trumpet"]),
    ("shop", &["bakery", "bookshop", "supermarket", "flower shop", "restaurant", "hotel", "bicycle shop"]),
    ("hours", &["two hours", "three hours", "an hour", "half an hour"]),
    ("number", &["two", "three", "four", "five", "six"]),
    ("weekday", &["Monday", "Wednesday", "Friday", "Saturday", "Sunday"]),
    ("book", &["detective story", "adventure novel", "book about the sea", "short novel", "history book"]),
    ("film", &["comedy", "documentary", "cartoon", "film about space", "historical drama"]),
    ("gift", &["bicycle", "camera", "jacket", "pair of running shoe*", "watch", "guitar"]),
    ("season", &["spring", "summer", "autumn", "winter"]),
    ("plant", &["tomato*", "strawberry*", "bean*", "flower*", "carrot*"]),
    ("vehicle", &["bus", "train", "tram", "metro"]),
];

//! A scorer of several traits gives what as many scorers of one trait give, from one pass through the backbone.

mod common;

use std::fs;
use std::path::Path;

use common::{B, Oracle, ToyScorer, device, head};
use pair2score_data::{Grades, ScoreScale};
use pair2score_model::ScoreLink;
use pair2score_scorer::{
    BundleDType, EmbeddingCache, HeadFile, Matrices, Scored, Scorer, ScorerError, ScorerSettings,
    TraitSettings, head_files, write_bundle, write_scorer_settings, write_tensors,
};

const TARGETS: [&str; 3] = ["grammar", "vocabulary", "Task 2, response"];

/// The links of the traits, which have scales of their own.
fn links() -> [(ScoreScale, ScoreLink); 3] {
    let grades = ScoreScale::default();
    let six = ScoreScale::Graded(Grades { min: 0.0, max: 5.0, step: 1.0 });
    [
        (grades, ScoreLink::Identity),
        (grades, ScoreLink::Expected { min: 1.0, step: 0.5, grades: 9 }),
        (six, ScoreLink::Cumulative { min: 0.0, step: 1.0, grades: 6 }),
    ]
}

/// The settings of a scorer of these traits on the adapters of the toy scorer.
fn settings(toy: &ToyScorer, places: &[usize]) -> ScorerSettings {
    let mut settings = ScorerSettings::read(&toy.path("scorer.json")).unwrap();
    let relative = settings.relative.as_mut().unwrap();
    let score = settings.score.as_mut().unwrap();
    (relative.heads, score.heads, settings.traits) = Default::default();
    for &place in places {
        let (scale, link) = links()[place];
        relative.heads.push(format!("utility{place}").into());
        score.heads.push(HeadFile { path: format!("head{place}").into(), link });
        settings.traits.push(TraitSettings::new(TARGETS[place], scale));
    }
    settings
}

/// A scorer of these traits, among three that differ in their heads.
fn scorer(toy: &ToyScorer, places: &[usize]) -> Scorer<B> {
    write_scorer_settings(&toy.path(""), &settings(toy, places)).unwrap();
    toy.load()
}

fn toy() -> ToyScorer {
    let toy = ToyScorer::new(&[]);
    for (place, (_, link)) in links().iter().enumerate() {
        let [utility, head] = head(link.n_outputs(), 3 + 2 * place);
        write_tensors(&toy.path(&format!("utility{place}")), &utility, &[]).unwrap();
        write_tensors(&toy.path(&format!("head{place}")), &head, &[]).unwrap();
    }
    toy
}

/// Scores and utilities of a trait of a scorer.
fn column(scorer: &Scorer<B>, place: usize) -> (Vec<Scored>, Vec<f64>) {
    let documents = Oracle::load().documents();
    let scores = scorer.score(&documents, |_| ()).unwrap().unwrap();
    let utilities = scorer.utilities(&documents, |_| ()).unwrap().unwrap();
    (scores.iter().map(|row| row[place]).collect(), utilities.iter().map(|row| row[place]).collect())
}

#[test]
fn whoever_hears_of_progress_may_end_the_work() {
    let scorer = scorer(&toy(), &[0]);
    let (documents, mut heard) = (Oracle::load().documents(), 0);
    let stopped = scorer.score(&documents, |_| {
        heard += 1;
        false
    });
    assert!(matches!(stopped, Err(ScorerError::Stopped)));
    assert_eq!(heard, 1);
    assert_eq!(scorer.score(&documents, |_| true).unwrap(), scorer.score(&documents, |_| ()).unwrap());
}

#[test]
fn several_traits_are_as_many_scorers() {
    let toy = toy();
    let alone: Vec<_> = (0..3).map(|place| column(&scorer(&toy, &[place]), 0)).collect();
    assert_ne!(alone[0], alone[1]);
    let together = scorer(&toy, &[0, 1, 2]);
    let bundle = tempfile::tempdir().unwrap();
    let matrices = Matrices { dtype: BundleDType::F32, pack: false };
    write_bundle(bundle.path(), &together, matrices, 1 << 20, Vec::new()).unwrap();
    let bundled = Scorer::<B>::load(bundle.path(), &device()).unwrap();
    assert_eq!(bundled.settings.traits, together.settings.traits);
    for (place, alone) in alone.iter().enumerate() {
        assert_eq!(column(&together, place), *alone, "{place}");
        assert_eq!(column(&bundled, place), *alone, "{place}");
    }
    // By way of kept embeddings.
    let (documents, cache) = (Oracle::load().documents(), EmbeddingCache::new(bundle.path().join("cache")));
    let mut kept = together.open_cache(&cache).unwrap();
    let scores = together.score_cached(&documents, &mut kept, |_| ()).unwrap().unwrap();
    let utilities = together.utilities_cached(&documents, &mut kept, |_| ()).unwrap().unwrap();
    let rows = together.embed_and_say_cached(&documents, &mut kept, |_| ()).unwrap();
    let width = rows.len() / documents.len();
    for (place, (expected, ranked)) in alone.iter().enumerate() {
        for (document, (scored, utility)) in expected.iter().zip(ranked).enumerate() {
            assert!((scores[document][place].score - scored.score).abs() < 1e-5);
            assert!((utilities[document][place] - utility).abs() < 1e-5);
            let said = f64::from(rows[document * width + width - 3 + place]);
            assert!((said - scored.score).abs() < 1e-5);
        }
    }
    // Embeddings are these rows without what is said.
    assert_eq!(together.width(), width - 3);
    let embeddings = together.embed(&documents, |_| ()).unwrap();
    assert_eq!(embeddings.len(), documents.len());
    for (embedding, row) in embeddings.iter().zip(rows.chunks_exact(width)) {
        assert_eq!(embedding.len(), together.width());
        assert!(embedding.iter().zip(row).all(|(one, other)| (one - other).abs() < 1e-5));
    }
    assert!(together.embed(&[], |_| ()).unwrap().is_empty());
    let comparisons = together.compare(&[documents[0].clone(), documents[1].clone()]).unwrap();
    assert_eq!(comparisons.len(), 3);
    for (comparison, (scores, utilities)) in comparisons.iter().zip(&alone) {
        let [a, b] = comparison.scores.unwrap();
        assert!((a.score - scores[0].score).abs() < 1e-5 && (b.score - scores[1].score).abs() < 1e-5);
        assert!((comparison.logit().unwrap() - (utilities[0] - utilities[1])).abs() < 1e-5);
    }
}

#[test]
fn settings_are_read_as_they_were_written() {
    let toy = toy();
    for places in [&[1][..], &[0, 1, 2]] {
        let settings = settings(&toy, places);
        write_scorer_settings(&toy.path(""), &settings).unwrap();
        assert_eq!(ScorerSettings::read(&toy.path("scorer.json")).unwrap(), settings);
    }
}

/// As this program has always written them.
const ONE: &str = r#"{
  "format": 1,
  "target": "grammar",
  "scale": {
    "min": 1.0,
    "max": 5.0,
    "step": 0.5
  },
  "pooling": "mean",
  "max_length": 512,
  "dtype": "f32",
  "backbone": "backbone",
  "layers": 3,
  "final_norm": false,
  "label_counts": [
    0,
    1,
    2,
    3,
    4,
    3,
    2,
    1,
    0
  ],
  "relative": {
    "adapter": null,
    "head": "relative_head.safetensors"
  },
  "score": {
    "adapters": [],
    "fusion": false,
    "head": "head.safetensors",
    "link": {
      "kind": "identity"
    }
  }
}
"#;

#[test]
fn the_file_of_one_trait_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scorer.json");
    fs::write(&path, ONE).unwrap();
    let settings = ScorerSettings::read(&path).unwrap();
    assert_eq!(settings.targets().collect::<Vec<_>>(), ["grammar"]);
    write_scorer_settings(folder.path(), &settings).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), ONE);
}

#[test]
fn traits_that_cannot_stand_side_by_side_are_refused() {
    let toy = toy();
    let mut several = settings(&toy, &[0, 1]);
    let mut named = |name: &str| {
        several.traits[1].target = name.into();
        several.validate().err().unwrap_or_default()
    };
    assert_eq!(named("Task 2, response"), "");
    for name in ["Grammar", "id", "Truncated", "grammar_grade"] {
        assert!(named(name).contains(&format!("{name:?}, whose column")), "{name}: {}", named(name));
    }
    for name in ["", "a/b", ".hidden", "dot.", "a\\b", "{x}"] {
        assert!(named(name).contains("cannot be the name of a file"), "{name}: {}", named(name));
    }
    // A single one may be called anything.
    several.traits.truncate(1);
    several.relative.as_mut().unwrap().heads.truncate(1);
    assert!(several.validate().unwrap_err().contains("2 heads of stage 2 for 1 traits"));
    several.score.as_mut().unwrap().heads.truncate(1);
    several.traits[0].target = "a/b".into();
    assert_eq!(several.validate(), Ok(()));
}

#[test]
fn a_single_head_has_the_published_name() {
    assert_eq!(head_files("head", ["a/b"]), [Path::new("head.safetensors")]);
    let several = head_files("head", ["grammar", "syntax"]);
    assert_eq!(several, [Path::new("heads/grammar.safetensors"), Path::new("heads/syntax.safetensors")]);
}

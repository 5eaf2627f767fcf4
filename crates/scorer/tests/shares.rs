//! A text that several workers share has the scores that one gives it.

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::bundles::{F32, loader, scorer, settings};
use common::{B, Oracle};
use pair2score_model::ScoreLink;
use pair2score_scorer::{
    BundleDType, Encoded, HostTableEncoder, Matrices, Scorer, ScorerSettings, write_bundle,
};

type Bundled = Scorer<B, HostTableEncoder<B>>;

/// What a future comes to that never waits, as on the processor.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the processor answers at once"),
    }
}

fn bundled(settings: &ScorerSettings, matrices: Matrices) -> Bundled {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_bundle(to.path(), &scorer(from.path(), settings), matrices, 1 << 20, Vec::new()).unwrap();
    let (mut loader, shards, tokenizer) = loader(to.path());
    shards.iter().for_each(|shard| loader.put_shard(shard).unwrap());
    loader.put_tokenizer(&tokenizer).unwrap();
    loader.finish_with_host_table().unwrap()
}

/// The score by so many workers, of which each hears from those before it alone.
fn shared(scorer: &Bundled, document: &Encoded, workers: usize) -> f64 {
    let tokens = scorer.shares(document.ids.len(), workers);
    let mut parts: Vec<_> = tokens.into_iter().map(|tokens| scorer.share(document, tokens)).collect();
    for _ in 0..parts[0].left() {
        let mut earlier = Vec::new();
        for part in &mut parts {
            earlier.push(now(scorer.pass(part, &earlier)).unwrap());
        }
    }
    let mut last = parts.pop().unwrap();
    let earlier: Vec<_> = parts.iter_mut().map(|part| now(scorer.pass(part, &[])).unwrap()).collect();
    assert!(now(scorer.pass(&mut last, &[])).is_ok());
    now(scorer.score_shared(last, &earlier, 1)).unwrap().0[0].score
}

fn long_document(scorer: &Bundled) -> Encoded {
    scorer.text_encoder.encode(&Oracle::load().texts.join(" ").repeat(9)).unwrap()
}

#[test]
fn shares_score_as_one_worker_does() {
    let long = |adapters: &[&str], fusion: bool| ScorerSettings {
        max_length: 230,
        ..settings(true, Some(adapters), fusion, ScoreLink::Identity)
    };
    for (adapters, fusion, matrices) in [
        (&[][..], false, F32),
        (&["stage1", "stage2"], false, F32),
        (&["stage2"], true, F32),
        (&["stage2"], false, Matrices { dtype: BundleDType::F16, pack: true }),
    ] {
        let scorer = bundled(&long(adapters, fusion), matrices);
        let document = long_document(&scorer);
        assert_eq!(document.ids.len(), 230);
        let alone = now(scorer.score_async(&document)).unwrap().unwrap()[0].score;
        for workers in [1, 2, 3, 4, 9] {
            let shared = shared(&scorer, &document, workers);
            // Here products of few rows may take their sums in another order; those of a page do not.
            assert!((shared - alone).abs() < 1e-6, "{workers} workers: {shared}, not {alone}");
        }
    }
}

#[test]
fn what_is_not_of_the_shares_before_is_refused() {
    let scorer = bundled(
        &ScorerSettings { max_length: 230, ..settings(false, Some(&[]), false, ScoreLink::Identity) },
        F32,
    );
    let document = long_document(&scorer);
    for earlier in [vec![], vec![vec![0.0; 7]]] {
        let mut share = scorer.share(&document, 64..230);
        let error = now(scorer.pass(&mut share, &earlier)).unwrap_err().to_string();
        assert!(error.contains("do not fit each other"), "{error}");
        let error = now(scorer.score_shared(share, &earlier, 1)).unwrap_err().to_string();
        assert!(error.contains("do not fit each other"), "{error}");
    }
}

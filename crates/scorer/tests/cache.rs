//! Embeddings that are kept: found again where everything that decides them is the same, and nowhere else.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{B, Oracle, device};
use pair2score_model::{Adapter, Depth, Pooling};
use pair2score_scorer::{EmbeddingCache, Encoded, Encoder, ScorerError, load_adapter};

fn encoder(pooling: Pooling) -> Encoder<B> {
    let (config, backbone) = Oracle::load().backbone();
    Encoder::new(config, backbone, pooling)
}

/// Embeddings, and how many documents there were without computing.
fn embed(
    encoder: &Encoder<B>,
    adapters: &[&Adapter<B>],
    depths: &[Depth],
    documents: &[Encoded],
    cache: &EmbeddingCache,
) -> (Vec<Vec<f32>>, usize) {
    let mut kept = cache.open(encoder, adapters, depths, &device()).unwrap();
    let mut found = None;
    let go_on = |done| {
        found.get_or_insert(done);
        true
    };
    let documents: Vec<&Encoded> = documents.iter().collect();
    let rows = encoder.embed_documents(&documents, adapters, depths, &mut kept, &device(), go_on).unwrap();
    (rows, found.unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Bytes before the first row, and those of a row of the oracle's backbone.
fn layout(width: usize) -> (usize, usize) {
    (32 + 32 + 8, 32 + 4 + 4 * width + 8)
}

#[test]
fn what_is_kept_equals_what_is_computed_and_is_not_computed_again() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path().join("cache"));
    let (encoder, documents) = (encoder(Pooling::Mean), oracle.documents());
    let plain: Vec<&Encoded> = documents.iter().collect();
    let depths = [Depth { layers: Some(1), final_norm: false }, encoder.depth()];
    let computed = encoder.embed_documents(&plain, &[], &depths, &mut [], &device(), |_| true).unwrap();
    let n = documents.len();
    assert_eq!(embed(&encoder, &[], &depths, &documents, &cache), (computed.clone(), 0));
    assert_eq!(embed(&encoder, &[], &depths, &documents, &cache), (computed.clone(), n));
    // A backbone of which no more is loaded comes to the same at that depth.
    let first = encoder.clone().read_to(depths[0]).unwrap();
    assert_eq!(embed(&first, &[], &[first.depth()], &documents, &cache), (computed[..1].to_vec(), n));
    // In another order, and with a document twice.
    let others = [1, 0, 1].map(|i| documents[i].clone());
    let (rows, found) = embed(&encoder, &[], &[encoder.depth()], &others, &cache);
    let width = encoder.config.d_model;
    let row = |i: usize| &computed[1][i * width..][..width];
    assert_eq!((found, &rows[0]), (3, &[row(1), row(0), row(1)].concat()));
    // With a new document, which alone is computed.
    let more = [&others[..], &[Encoded { ids: vec![5, 6, 7], full_length: 3 }]].concat();
    let (rows, found) = embed(&encoder, &[], &[encoder.depth()], &more, &cache);
    assert_eq!((found, &rows[0][..width]), (3, row(1)));
    let new: Vec<&Encoded> = more.iter().skip(3).collect();
    let alone = encoder.embed_documents(&new, &[], &[encoder.depth()], &mut [], &device(), |_| true).unwrap();
    assert_eq!(&rows[0][3 * width..], &alone[0]);
}

#[test]
fn nothing_is_found_where_something_that_decides_is_another() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path());
    let documents = oracle.documents();
    let mean = encoder(Pooling::Mean);
    embed(&mean, &[], &[mean.depth()], &documents, &cache);
    assert_eq!(files(folder.path()).len(), 1);
    let last = encoder(Pooling::Last);
    assert_eq!(embed(&last, &[], &[last.depth()], &documents, &cache).1, 0);
    let adapter = load_adapter::<B>(&oracle.path("adapter"), &mean.config, &device()).unwrap().adapter;
    assert_eq!(embed(&mean, &[&adapter], &[mean.depth()], &documents, &cache).1, 0);
    let mut doubled = mean.clone();
    let norm = &mut doubled.backbone.decoder.layers[0].input_norm.weight;
    *norm = norm.clone().map(|weight| weight * 2.0);
    assert_eq!(embed(&doubled, &[], &[mean.depth()], &documents, &cache).1, 0);
    let mut base = mean.clone();
    base.config.rope.theta *= 2.0;
    assert_eq!(embed(&base, &[], &[mean.depth()], &documents, &cache).1, 0);
    assert_eq!(files(folder.path()).len(), 5);
}

#[test]
fn a_torn_group_is_cut_off_and_a_damaged_row_is_computed_again() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path());
    let (encoder, documents) = (encoder(Pooling::Mean), oracle.documents());
    let (expected, _) = embed(&encoder, &[], &[encoder.depth()], &documents, &cache);
    let file = files(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let (header, row) = layout(encoder.config.d_model);
    assert_eq!(whole.len(), header + documents.len() * row);
    for cut in [1, row - 1, row + 1, whole.len() - header - 1, whole.len() - header + 5] {
        fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let (rows, found) = embed(&encoder, &[], &[encoder.depth()], &documents, &cache);
        // They are one group, of which nothing is left: the same bits.
        assert_eq!((&rows, found), (&expected, 0), "{cut}");
        assert_eq!(fs::read(&file).unwrap().len(), whole.len(), "{cut}");
    }
    let mut damaged = whole.clone();
    damaged[header + row + 40] ^= 1;
    fs::write(&file, damaged).unwrap();
    let (again, found) = embed(&encoder, &[], &[encoder.depth()], &documents, &cache);
    assert_eq!(found, documents.len() - 1);
    common::assert_close(&again[0], &expected[0], 1e-5, "computed alone");
    assert_eq!(embed(&encoder, &[], &[encoder.depth()], &documents, &cache), (again, documents.len()));

    fs::write(&file, "something else").unwrap();
    let error = cache.open(&encoder, &[], &[encoder.depth()], &device()).unwrap_err().to_string();
    assert!(error.contains("is not a file of embeddings of this version"), "{error}");
}

#[test]
fn a_file_that_is_deleted_or_cut_meanwhile_is_begun_anew() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path());
    let (encoder, documents) = (encoder(Pooling::Mean), oracle.documents());
    let depths = [encoder.depth()];
    let plain: Vec<&Encoded> = documents.iter().collect();
    let (one, others) = plain.split_at(1);
    for cut in [None, Some(0), Some(80)] {
        let mut kept = cache.open(&encoder, &[], &depths, &device()).unwrap();
        encoder.embed_documents(one, &[], &depths, &mut kept, &device(), |_| true).unwrap();
        let file = files(folder.path()).remove(0);
        match cut {
            None => fs::remove_file(&file).unwrap(),
            Some(length) => fs::File::options().write(true).open(&file).unwrap().set_len(length).unwrap(),
        }
        // What the file had is not found, and what is computed now is kept.
        for documents in [one, others] {
            encoder.embed_documents(documents, &[], &depths, &mut kept, &device(), |_| true).unwrap();
        }
        assert_eq!(embed(&encoder, &[], &depths, &documents, &cache).1, documents.len(), "{cut:?}");
    }
}

#[test]
fn a_stop_keeps_what_was_computed() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path());
    let (encoder, documents) = (encoder(Pooling::Mean), oracle.documents());
    let plain: Vec<&Encoded> = documents.iter().collect();
    let depths = [encoder.depth()];
    let mut kept = cache.open(&encoder, &[], &depths, &device()).unwrap();
    let stopped = encoder.embed_documents(&plain, &[], &depths, &mut kept, &device(), |done| done == 0);
    // After the only group of these texts, whose work is kept.
    assert!(matches!(stopped, Err(ScorerError::Stopped)));
    assert_eq!(embed(&encoder, &[], &depths, &documents, &cache).1, documents.len());
}

#[test]
fn several_writers_share_a_folder() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    let cache = EmbeddingCache::new(folder.path());
    let (encoder, documents) = (encoder(Pooling::Mean), oracle.documents());
    // All look before any has written, so that each writes.
    let start = std::sync::Barrier::new(4);
    let results: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let depths = [encoder.depth()];
                    let mut kept = cache.open(&encoder, &[], &depths, &device()).unwrap();
                    start.wait();
                    let documents: Vec<&Encoded> = documents.iter().collect();
                    let rows =
                        encoder.embed_documents(&documents, &[], &depths, &mut kept, &device(), |_| true);
                    rows.unwrap().remove(0)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (kept, found) = embed(&encoder, &[], &[encoder.depth()], &documents, &cache);
    assert_eq!(found, documents.len());
    assert!(results.iter().all(|rows| *rows == kept[0]));
    // All computed, but each document is kept once.
    let (header, row) = layout(encoder.config.d_model);
    let length = fs::metadata(files(folder.path()).remove(0)).unwrap().len();
    assert_eq!(length, (header + documents.len() * row) as u64);
}

#[test]
fn stages_with_the_same_embeddings_compute_and_keep_them_once() {
    let (oracle, folder) = (Oracle::load(), tempfile::tempdir().unwrap());
    // Stage 1 and stage 2 on the backbone as it is.
    let toy = common::ToyScorer::new(&[]);
    toy.edit(|json| json["relative"]["adapter"] = serde_json::Value::Null);
    let scorer = toy.load();
    let documents = scorer.encode(&oracle.texts).unwrap();
    let mut kept = scorer.open_cache(&EmbeddingCache::new(folder.path())).unwrap();
    let scores = scorer.score_cached(&documents, &mut kept, |_| ()).unwrap().unwrap();
    let mut found = None;
    let utilities = scorer.utilities_cached(&documents, &mut kept, |done| {
        found.get_or_insert(done);
    });
    assert_eq!(found, Some(documents.len()), "what stage 2 has kept is there for stage 1");
    let (utilities, computed) =
        (utilities.unwrap().unwrap(), scorer.utilities(&documents, |_| ()).unwrap().unwrap());
    for (kept, computed) in utilities.iter().flatten().zip(computed.iter().flatten()) {
        // Groups of other sizes round otherwise.
        assert!((kept - computed).abs() < 1e-4, "{kept} is not {computed}");
    }
    assert_eq!((scores.len(), utilities.len()), (documents.len(), documents.len()));
    let (header, row) = layout(scorer.encoder.config.d_model);
    let [file]: [PathBuf; 1] = files(folder.path()).try_into().unwrap();
    assert_eq!(fs::metadata(file).unwrap().len(), (header + documents.len() * row) as u64);
}

//! `pairs propose`: the pairs whose judgement is expected to tell most, for people to judge.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pair2score_data::judgements::select::{AdaptiveOptions, Groups, Known, Mix, Pairing, show_all};
use pair2score_data::judgements::{
    Comparison, JudgementLog, LogDefaults, Proposal, posterior_with, read_proposals, write_proposals,
};
use pair2score_data::{Document, DocumentSet, Layout, read_texts, rng};
use pair2score_train::TrainBackend;

use crate::Answer;
use crate::args::ProposeArgs;
use crate::destination;
use crate::device::{Device, OnDevice};

/// Writes a list of pairs.
pub(crate) fn run(args: ProposeArgs) -> Result<Answer> {
    for (option, share) in [("--random-share", args.random_share), ("--repeat-share", args.repeat_share)] {
        if !(0.0..1.0).contains(&share) {
            bail!("{option} {share} is not a share; give a number from 0 to below 1");
        }
    }
    let mut reads = vec![args.documents.as_path()];
    let files = args.known.folder().into_iter().chain(&args.judgements).chain(&args.without);
    reads.extend(files.map(PathBuf::as_path));
    destination::check_file(&args.output, &reads)?;
    Device::choose(args.device.device, None)?.run(Propose(args))
}

struct Propose(ProposeArgs);

impl OnDevice for Propose {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let documents = read_texts(&args.documents, &Layout::from(args.layout.clone()))?;
        let list = judged(&args, &documents)?;
        let used = used_pairs(&args, &documents)?;
        let ids: Vec<&str> = documents.ids().collect();
        let all: Vec<&Document> = documents.iter().collect();
        let scorer = args.known.load::<B::InnerBackend>(args.layout.texts.prompt_col.is_some(), device)?;
        let features = args.known.features(scorer.as_ref(), &all, args.target.as_deref())?;
        let known = posterior_with(&features, &list)?;
        let pairings = choose(&args, &documents, Known { list: &list, used: &used, posterior: &known })?;
        let mix = Mix { repeats: args.repeat_share, gold: 0.0, ..Mix::default() };
        let showings = show_all(&pairings, &[], &mix, args.seed);
        let proposals: Vec<Proposal> = showings.iter().map(|showing| Proposal::new(showing, &ids)).collect();
        write_proposals(&args.output, &proposals)?;
        let repeats = proposals.len() - pairings.len();
        let asked: HashSet<usize> = pairings.iter().flat_map(|&(a, b)| [a, b]).collect();
        let utilities = &known.fit.utilities;
        let preference = |&(a, b): &Pairing| 1.0 / (1.0 + (-(utilities[a] - utilities[b]).abs()).exp());
        let mean = pairings.iter().map(preference).sum::<f64>() / pairings.len() as f64;
        outln!(
            "wrote {}: {} pairs of {} documents and {repeats} repeats, mean preference {mean:.3}",
            args.output.display(),
            pairings.len(),
            asked.len()
        );
        Ok(Answer::Yes)
    }
}

/// Says how many pairs of an option are of other documents, which are of no use here: they may be the same ones under other ids.
fn say_others(option: &str, others: usize, all: usize) {
    if others > 0 {
        errln!("{option}: {others} of {all} pairs are of other documents and left out");
    }
}

/// What was judged so far, by place.
fn judged(args: &ProposeArgs, documents: &DocumentSet) -> Result<Vec<Comparison>> {
    if args.judgements.is_empty() {
        return Ok(Vec::new());
    }
    let defaults = LogDefaults { target: args.target.clone(), judge: Some("anyone".into()) };
    let log = JudgementLog::read(&args.judgements, &defaults)?.of_trait(args.target.as_deref())?;
    let compare = |pair: &pair2score_data::pairs::Pair| {
        let (a, b) = documents.index_of(&pair.a).zip(documents.index_of(&pair.b))?;
        Some(Comparison::new(a, b, pair.y))
    };
    let list: Vec<Comparison> =
        log.judgements.iter().filter_map(|judgement| compare(&judgement.pair)).collect();
    say_others("--judgements", log.judgements.len() - list.len(), log.judgements.len());
    Ok(list)
}

/// Pairs judged or proposed before, by place.
fn used_pairs(args: &ProposeArgs, documents: &DocumentSet) -> Result<HashSet<Pairing>> {
    let (mut used, mut others, mut all) = (HashSet::new(), 0, 0);
    for file in &args.without {
        for (a, b) in pairs_of(file)? {
            let pair = documents.index_of(&a).zip(documents.index_of(&b));
            all += 1;
            others += usize::from(pair.is_none());
            used.extend(pair);
        }
    }
    say_others("--without", others, all);
    Ok(used)
}

/// The pairs of a log, whoever judged what, or of a list.
fn pairs_of(file: &Path) -> Result<Vec<(String, String)>> {
    let anything = LogDefaults { target: Some("any".into()), judge: Some("anyone".into()) };
    match JudgementLog::read(&[file], &anything) {
        Ok(log) => Ok(log.judgements.into_iter().map(|j| (j.pair.a, j.pair.b)).collect()),
        // A list has no answers; if it is neither, what is said about lists is true of logs.
        Err(_) => Ok(read_proposals(file)?.into_iter().map(|proposal| (proposal.a, proposal.b)).collect()),
    }
}

/// Within the splits that `judgements import` will make, each in proportion to its documents, or among all documents.
fn choose(args: &ProposeArgs, documents: &DocumentSet, known: Known<'_>) -> Result<Vec<Pairing>> {
    let heldout = match &args.heldout_fold {
        None => Vec::new(),
        Some(fold) => documents.in_folds(std::slice::from_ref(fold))?,
    };
    let pool: Vec<usize> =
        (0..documents.len()).filter(|place| heldout.binary_search(place).is_err()).collect();
    let groups = match args.within_splits {
        false => Groups::all(pool),
        true => Groups::within_splits(&pool, args.seed),
    };
    let options = match args.known.folder() {
        Some(_) => AdaptiveOptions { half_after: 0.0, least_random: args.random_share },
        None => AdaptiveOptions { least_random: args.random_share, ..AdaptiveOptions::default() },
    };
    let mut pairs = groups.adaptive_new(known, args.n as usize, &options, args.seed);
    if pairs.is_empty() {
        bail!("{}: no pair is left to propose; give more documents", args.documents.display());
    }
    rng::shuffle(&mut rng::stream(args.seed, &["propose"]), &mut pairs);
    Ok(pairs)
}

//! `pairs propose`: the pairs that a scorer is least sure of, for people to judge.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pair2score_data::judgements::select::{AssistedOptions, Groups, Mix, Pairing, show_all};
use pair2score_data::judgements::{JudgementLog, LogDefaults, Proposal, read_proposals, write_proposals};
use pair2score_data::{DocumentSet, Layout, read_texts, rng};
use pair2score_scorer::Scorer;
use pair2score_train::{Progress, TrainBackend};

use crate::Answer;
use crate::args::ProposeArgs;
use crate::destination;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Writes a list of pairs.
pub(crate) fn run(args: ProposeArgs) -> Result<Answer> {
    for (option, share) in [("--random-share", args.random_share), ("--repeat-share", args.repeat_share)] {
        if !(0.0..1.0).contains(&share) {
            bail!("{option} {share} is not a share; give a number from 0 to below 1");
        }
    }
    let mut reads = vec![args.documents.as_path(), &args.scorer];
    reads.extend(args.without.iter().map(PathBuf::as_path));
    destination::check_file(&args.output, &reads)?;
    Device::choose(args.device.device, None)?.run(Propose(args))
}

struct Propose(ProposeArgs);

impl OnDevice for Propose {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let documents = read_texts(&args.documents, &Layout::from(args.layout.clone()))?;
        let used = used_pairs(&args, &documents)?;
        let scorer = Scorer::<B::InnerBackend>::load(&args.scorer, device)?;
        if !scorer.can_rank() {
            bail!(
                "{}: has no stage 1, so there are no utilities; run `pair2score relative CONFIG` first",
                args.scorer.display()
            );
        }
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let encoded = scorer.encode(&texts)?;
        let mut progress = Terminal::quiet();
        progress.begin("compare", documents.len());
        let ids: Vec<&str> = documents.ids().collect();
        let utilities = scorer
            .utilities(&encoded, |done| progress.advance(done))
            .map_err(|error| error.of_document(|place| ids[place].to_owned()))?
            .unwrap_or_default();
        progress.end();

        let pairings = choose(&args, &documents, &utilities, &used)?;
        let mix = Mix { repeats: args.repeat_share, gold: 0.0, ..Mix::default() };
        let showings = show_all(&pairings, &[], &mix, args.seed);
        let proposals: Vec<Proposal> = showings.iter().map(|showing| Proposal::new(showing, &ids)).collect();
        write_proposals(&args.output, &proposals)?;
        let repeats = proposals.len() - pairings.len();
        let asked: HashSet<usize> = pairings.iter().flat_map(|&(a, b)| [a, b]).collect();
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

/// Pairs judged or proposed before, by place; those of other documents are of no use here.
fn used_pairs(args: &ProposeArgs, documents: &DocumentSet) -> Result<HashSet<Pairing>> {
    let mut used = HashSet::new();
    for file in &args.without {
        for (a, b) in pairs_of(file)? {
            used.extend(documents.index_of(&a).zip(documents.index_of(&b)));
        }
    }
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
fn choose(
    args: &ProposeArgs,
    documents: &DocumentSet,
    utilities: &[f64],
    used: &HashSet<Pairing>,
) -> Result<Vec<Pairing>> {
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
    let options = AssistedOptions { random_share: args.random_share, ..AssistedOptions::default() };
    let mut pairs = groups.assisted(utilities, args.n as usize, used, &options, args.seed);
    if pairs.is_empty() {
        bail!("{}: no pair is left to propose; give more documents", args.documents.display());
    }
    rng::shuffle(&mut rng::stream(args.seed, &["propose"]), &mut pairs);
    Ok(pairs)
}

//! `pairs propose`: the pairs that a scorer is least sure of, for people to judge.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use pair2score_data::judgements::select::{AssistedOptions, Mix, Pairing, assisted, show_all};
use pair2score_data::judgements::{Proposal, read_proposals, write_proposals};
use pair2score_data::pairs::{SplitName, split_80_10_10};
use pair2score_data::{Columns, DocumentSet, read_texts, rng};
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
        let documents = read_texts(&args.documents, &Columns::from(args.columns.clone()))?;
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
        for Proposal { a, b, .. } in read_proposals(file)? {
            used.extend(documents.index_of(&a).zip(documents.index_of(&b)));
        }
    }
    Ok(used)
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
        false => vec![pool.clone()],
        true => {
            let splits = split_80_10_10(&pool, args.seed);
            SplitName::ALL.iter().map(|&split| splits.get(split).clone()).collect()
        }
    };
    let options = AssistedOptions { random_share: args.random_share, ..AssistedOptions::default() };
    let mut pairs = Vec::new();
    let mut before = 0;
    for group in &groups {
        // Shares of a running total add up to the whole.
        before += group.len();
        let goal = (args.n as f64 * before as f64 / pool.len() as f64).round() as usize;
        let of_group: Vec<f64> = group.iter().map(|&place| utilities[place]).collect();
        let number: HashMap<usize, usize> =
            group.iter().enumerate().map(|(number, &place)| (place, number)).collect();
        let used = used.iter().filter_map(|(a, b)| Some((*number.get(a)?, *number.get(b)?))).collect();
        let chosen = assisted(&of_group, goal.saturating_sub(pairs.len()), &used, &options, args.seed);
        pairs.extend(chosen.into_iter().map(|(a, b)| (group[a], group[b])));
    }
    if pairs.is_empty() {
        bail!("{}: no pair is left to propose; give more documents", args.documents.display());
    }
    rng::shuffle(&mut rng::stream(args.seed, &["propose"]), &mut pairs);
    Ok(pairs)
}

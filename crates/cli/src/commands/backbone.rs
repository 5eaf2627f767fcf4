//! `backbone import`: a pretrained LLaMA as a folder that everything here loads.

use std::path::Path;

use anyhow::Result;
use pair2score_backbone::{Report, Source, import};
use pair2score_scorer::WeightDType;

use crate::Answer;
use crate::args::BackboneImportArgs;
use crate::backbones::shown;
use crate::destination;
use crate::progress::Terminal;

/// Imports, and says what became of it.
pub(crate) fn run(args: BackboneImportArgs) -> Result<Answer> {
    destination::check_folder(&args.output, &[Path::new(&args.source)])?;
    let dtype = args.dtype.map_or(WeightDType::Auto, WeightDType::from);
    let source = Source::find(&args.source)?;
    let imported = shown(&mut Terminal::quiet(), |progress| import(&source, &args.output, dtype, progress));
    let Report { config, stored_as, dtype, left_aside, commit } = imported?;
    outln!(
        "wrote {}: {} layers, width {}, {:.1} million parameters, {} as {}",
        args.output.display(),
        config.n_layers,
        config.d_model,
        config.n_parameters() as f64 / 1e6,
        stored_as.join(", "),
        dtype.name(),
    );
    if let Some(commit) = commit {
        outln!("commit: {commit}");
    }
    for part in left_aside {
        outln!("left aside: {part}");
    }
    Ok(Answer::Yes)
}

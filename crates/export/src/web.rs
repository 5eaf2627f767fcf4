//! A static site: the built page and the scorer's bundle, for any file server.

use std::fs;
use std::path::Path;

use pair2score_model::Kernels;
use pair2score_scorer::{BUNDLE, BundleDType, Golden, Manifest, Matrices, Scorer, write_bundle};

use crate::{ExportError, Numbers, Options, Precision, Quantization, Source, golden};

/// Copies the page and writes the bundle with the golden texts and their `numbers`; gives the largest change of a
/// weight by the cast.
pub(crate) fn write<B: Kernels>(
    source: &Source<B>,
    options: &Options,
    numbers: &Numbers,
    folder: &Path,
) -> Result<f64, ExportError> {
    let dtype = match options.precision {
        Precision::F32 => BundleDType::F32,
        Precision::F16 => BundleDType::F16,
        Precision::Bf16 => {
            let problem = "no browser computes in bf16; use --dtype f16 or f32".into();
            return Err(ExportError::Inexpressible { scorer: source.folder.clone(), problem });
        }
    };
    // All but a bundle of its own, and the page that only a collection's server has a use for.
    copy(&options.page, folder, |name| name != BUNDLE && !name.starts_with("lead.html"))?;
    let number = |rows: &Option<Vec<Vec<f64>>>, i: usize| rows.as_ref().map(|rows| rows[i].as_slice().into());
    let golden = golden::texts().into_iter().enumerate().map(|(i, text)| Golden {
        text,
        score: number(&numbers.scores, i),
        utility: number(&numbers.utilities, i),
    });
    let bundle = folder.join(BUNDLE);
    let matrices = Matrices { dtype, pack: options.quantize == Some(Quantization::Q8) };
    Ok(write_bundle(&bundle, &source.scorer, matrices, Manifest::MAX_SHARD, golden.collect())?)
}

/// What the written bundle gives for the golden texts.
pub(crate) fn read_back<B: Kernels>(folder: &Path, device: &B::Device) -> Result<Numbers, ExportError> {
    Numbers::of(&Scorer::<B>::load(folder, device)?)
}

/// Makes sure that there is a page to copy.
pub(crate) fn check_page(page: &Path) -> Result<(), ExportError> {
    match page.join("index.html").is_file() {
        true => Ok(()),
        false => Err(ExportError::NoPage { path: page.into() }),
    }
}

fn copy(from: &Path, to: &Path, wanted: fn(&str) -> bool) -> Result<(), ExportError> {
    fs::create_dir_all(to).map_err(ExportError::io(to, "create"))?;
    for entry in fs::read_dir(from).map_err(ExportError::io(from, "read"))? {
        let entry = entry.map_err(ExportError::io(from, "read"))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if !wanted(&entry.file_name().to_string_lossy()) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &target, |_| true)?;
        } else {
            fs::copy(&path, &target).map_err(ExportError::io(&target, "write"))?;
        }
    }
    Ok(())
}

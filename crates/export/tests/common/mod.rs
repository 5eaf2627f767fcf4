//! Scorers of every transfer on the oracle's tiny backbone.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use pair2score_data::ScoreScale;
use pair2score_export::{ExportError, Format, Options, Precision, Report, export};
use pair2score_model::{Pooling, ScoreLink, hidden_width};
use pair2score_scorer::{
    AnchorDocument, AnchorSpace, Anchors, Calibration, CalibrationMethod, HeadFile, Intervals, RelativeFiles,
    ScoreFiles, ScorerSettings, StoredTensor, TraitSettings, WeightDType, head_files, write_scorer_settings,
    write_tensors,
};

pub type B = burn::backend::Flex;

/// Width of the oracle's embeddings.
pub const D_MODEL: usize = 64;

/// What stage 2 learned from stage 1, and how far training went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    RelativeOnly,
    Scratch,
    HeadOnly,
    WarmStart,
    Stacked,
    Fusion,
}

pub const SCORING: [Transfer; 5] =
    [Transfer::Scratch, Transfer::HeadOnly, Transfer::WarmStart, Transfer::Stacked, Transfer::Fusion];

/// A scorer in the making.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub transfer: Transfer,
    pub link: ScoreLink,
    pub pooling: Pooling,
    pub dtype: WeightDType,
    pub traits: &'static [&'static str],
}

impl From<Transfer> for Recipe {
    fn from(transfer: Transfer) -> Self {
        let (link, pooling, dtype) = (ScoreLink::Identity, Pooling::Mean, WeightDType::F32);
        Self { transfer, link, pooling, dtype, traits: &["grammar"] }
    }
}

/// A temporary folder.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names in a folder, or nothing where there is none.
    pub fn names(&self, name: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(name)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes `scorer/`.
    pub fn scorer(&self, recipe: impl Into<Recipe>) -> PathBuf {
        let Recipe { transfer, link, pooling, dtype, traits } = recipe.into();
        let folder = self.path("scorer");
        let stage1 = PathBuf::from("relative/adapter");
        copy(&oracle("stage1_adapter"), &folder.join(&stage1));
        copy(&oracle("adapter"), &folder.join("adapter"));
        let files = |stem: &str| head_files(stem, traits.iter().copied());
        for (place, file) in files("relative_head").iter().enumerate() {
            let head = [("weight".to_owned(), ramp(&[1, D_MODEL], 0.5 + 0.2 * place as f32))].into();
            write_tensors(&folder.join(file), &head, &[]).unwrap();
        }
        let width = if transfer == Transfer::Fusion { 2 * D_MODEL } else { D_MODEL };
        let (hidden, outputs) = (hidden_width(width), link.n_outputs());
        for (place, file) in files("head").iter().enumerate() {
            let more = 0.2 * place as f32;
            let head = [
                ("0.weight".to_owned(), ramp(&[hidden, width], 0.5 + more)),
                ("0.bias".to_owned(), ramp(&[hidden], 0.5)),
                ("2.weight".to_owned(), ramp(&[outputs, hidden], 0.8)),
                ("2.bias".to_owned(), ramp(&[outputs], 0.8 - more)),
            ];
            write_tensors(&folder.join(file), &head.into(), &[]).unwrap();
        }

        let adapters = match transfer {
            Transfer::HeadOnly => vec![],
            Transfer::Stacked => vec![stage1.clone(), "adapter".into()],
            _ => vec!["adapter".into()],
        };
        let ranks = !matches!(transfer, Transfer::Scratch | Transfer::HeadOnly);
        let settings = ScorerSettings {
            traits: traits
                .iter()
                .map(|target| TraitSettings {
                    calibration: (transfer != Transfer::RelativeOnly).then(|| calibration(link)),
                    intervals: (transfer != Transfer::RelativeOnly).then(intervals),
                    ..TraitSettings::new(*target, ScoreScale::default())
                })
                .collect(),
            pooling,
            max_length: 48,
            prompt_template: None,
            letters: None,
            anchors: None,
            dtype,
            backbone: oracle("backbone"),
            backbone_fingerprint: None,
            layers: None,
            final_norm: true,
            relative: ranks.then(|| RelativeFiles { adapter: Some(stage1), heads: files("relative_head") }),
            score: (transfer != Transfer::RelativeOnly).then(|| ScoreFiles {
                adapters,
                fusion: transfer == Transfer::Fusion,
                heads: files("head").into_iter().map(|path| HeadFile { path, link }).collect(),
            }),
        };
        write_scorer_settings(&folder, &settings).unwrap();
        folder
    }

    /// Gives `scorer/` three anchors, of which one has a text.
    pub fn anchors(&self) {
        let path = self.path("scorer/scorer.json");
        let settings = ScorerSettings::read(&path).unwrap();
        let width = if settings.score.as_ref().unwrap().fusion { 2 * D_MODEL } else { D_MODEL };
        let rows = ramp(&[3, width], 0.5).values;
        let rows = || rows.chunks_exact(width);
        AnchorSpace::around(rows())
            .with_anchors(rows())
            .save(&self.path("scorer").join(Anchors::FILE))
            .unwrap();
        let anchor = |place: usize| AnchorDocument {
            id: format!("essay {place}"),
            labels: settings.traits.iter().map(|_| Some(place as f64)).collect(),
            text: (place == 1).then(|| "A secret text.".into()),
        };
        let anchors = Anchors { embeddings: Anchors::FILE.into(), documents: (1..4).map(anchor).collect() };
        let settings = ScorerSettings { anchors: Some(anchors), ..settings };
        write_scorer_settings(&self.path("scorer"), &settings).unwrap();
    }

    /// Exports `scorer/` to `out/`.
    pub fn export(&self, format: Format, precision: Precision) -> Result<Report, ExportError> {
        self.export_with(options(format, precision))
    }

    /// As [`export`](Self::export), with every option.
    pub fn export_with(&self, options: Options) -> Result<Report, ExportError> {
        export::<B>(self.path("scorer").as_path(), &self.path("out"), options, &Default::default(), |_| ())
    }
}

/// What the command line asks for unless told otherwise.
pub fn options(format: Format, precision: Precision) -> Options {
    Options { format, precision, quantize: None, calibrated: false, page: PathBuf::new() }
}

/// A map with a bend among the scores that the heads here give: about 0 as they are, about 3 through a link.
fn calibration(link: ScoreLink) -> Calibration {
    let middle = if link == ScoreLink::Identity { 0.0 } else { 3.0 };
    Calibration {
        method: CalibrationMethod::Isotonic,
        documents: 100,
        knots: vec![[middle - 0.5, 1.5], [middle, 3.0], [middle + 0.1, 3.25], [middle + 1.0, 4.5]],
        thresholds: (0..8).map(|grade| middle - 0.5 + 0.125 * f64::from(grade)).collect(),
    }
}

/// Two regions, which meet among the scores that the heads here give.
fn intervals() -> Intervals {
    Intervals { level: 0.9, documents: 100, thresholds: vec![3.0], half_widths: vec![0.75, 1.25] }
}

/// A folder of the oracle's.
pub fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scorer/tests/fixtures/oracle")
        .join(name)
        .canonicalize()
        .unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Values that differ, within `±size / 2`.
fn ramp(shape: &[usize], size: f32) -> StoredTensor {
    let n: usize = shape.iter().product();
    let values = (0..n).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * size).collect();
    StoredTensor { shape: shape.to_vec(), values, dtype: WeightDType::F32 }
}

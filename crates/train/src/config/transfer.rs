//! What stage 2 takes over from stage 1, and which keys say so.
//!
//! Published configurations say it with flags under `mode: base`, ours may also name it as the mode. A mode implies
//! its flags; a flag spelled out against them is an error, never silently one or the other.

use super::choices::Mode;
use super::error::Problems;
use super::settings::AbsoluteSettings;

/// What stage 2 takes over from stage 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Nothing: a fresh adapter.
    Scratch,
    /// Nothing, and no adapter: a head on frozen embeddings.
    HeadOnly,
    /// Begins from the stage-1 adapter.
    WarmStart {
        /// False trains only the head, which is what the published code does.
        train_adapter: bool,
    },
    /// The stage-1 adapter frozen, a fresh one on top.
    Stacked,
    /// The frozen stage-1 embedding appended to the current one.
    Fusion {
        /// Whether the current embedding begins from the stage-1 adapter, else from a fresh one.
        reuse: bool,
        /// Whether the adapter learns; always true for a fresh one.
        train_adapter: bool,
    },
}

impl Transfer {
    /// Short name, as tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::HeadOnly => "head only",
            Self::WarmStart { train_adapter: true } => "warm start",
            Self::WarmStart { train_adapter: false } => "warm start, frozen adapter",
            Self::Stacked => "stacked",
            Self::Fusion { reuse: true, train_adapter: true } => "fusion",
            Self::Fusion { reuse: true, train_adapter: false } => "fusion, frozen adapter",
            Self::Fusion { reuse: false, .. } => "fusion, fresh adapter",
        }
    }

    /// Whether the stage-1 adapter must be there.
    pub fn needs_stage1(self) -> bool {
        matches!(self, Self::WarmStart { .. } | Self::Stacked | Self::Fusion { .. })
    }

    /// Whether stage 2 trains more than its head.
    pub fn trains_adapter(self) -> bool {
        match self {
            Self::HeadOnly => false,
            Self::Scratch | Self::Stacked => true,
            Self::WarmStart { train_adapter } | Self::Fusion { train_adapter, .. } => train_adapter,
        }
    }
}

impl AbsoluteSettings {
    /// What mode and flags of resolved settings say together.
    pub fn transfer(&self) -> Transfer {
        let [reuse, stack, fusion, train_reused] = [
            self.lora.reuse_relative_adapter,
            self.lora.stack_new_adapter,
            self.embedding_fusion.enabled,
            self.lora.train_reused_adapter,
        ]
        .map(|flag| flag == Some(true));
        match (self.mode == Mode::HeadOnly, fusion, reuse, stack) {
            (true, ..) => Transfer::HeadOnly,
            (_, true, ..) => Transfer::Fusion { reuse, train_adapter: train_reused || !reuse },
            (_, _, true, true) => Transfer::Stacked,
            (_, _, true, false) => Transfer::WarmStart { train_adapter: train_reused },
            (_, _, false, _) => Transfer::Scratch,
        }
    }

    /// Spells a transfer in the one way that resolved settings have for it.
    fn set_transfer(&mut self, transfer: Transfer) {
        let fusion = matches!(transfer, Transfer::Fusion { .. });
        self.mode = match transfer {
            Transfer::HeadOnly => Mode::HeadOnly,
            Transfer::Fusion { .. } => Mode::EmbeddingFusion,
            _ => Mode::Base,
        };
        let (reuse, train_reused) = match transfer {
            Transfer::Scratch | Transfer::HeadOnly => (false, None),
            Transfer::WarmStart { train_adapter } => (true, Some(train_adapter)),
            Transfer::Stacked => (true, Some(false)),
            Transfer::Fusion { reuse, train_adapter } => (reuse, Some(train_adapter)),
        };
        self.lora.reuse_relative_adapter = Some(reuse);
        self.lora.stack_new_adapter = Some(transfer == Transfer::Stacked);
        self.lora.train_reused_adapter = train_reused;
        self.embedding_fusion.enabled = Some(fusion);
    }
}

/// The flags that a mode implies; `None` leaves one open.
#[derive(Debug, Clone, Copy, Default)]
struct Implied {
    reuse: Option<bool>,
    stack: Option<bool>,
    fusion: Option<bool>,
    train_reused: Option<bool>,
}

impl Implied {
    fn by(mode: Mode) -> Self {
        let flags = |reuse, stack, fusion| Self {
            reuse,
            stack: Some(stack),
            fusion: Some(fusion),
            train_reused: None,
        };
        match mode {
            Mode::Base => Self::default(),
            Mode::HeadOnly | Mode::Scratch | Mode::Baseline => flags(Some(false), false, false),
            Mode::WarmStart => flags(Some(true), false, false),
            Mode::Stacked => Self { train_reused: Some(false), ..flags(Some(true), true, false) },
            Mode::EmbeddingFusion | Mode::Fusion => flags(None, false, true),
        }
    }
}

const REUSE: &str = "stage2_absolute.lora.reuse_relative_adapter";
const STACK: &str = "stage2_absolute.lora.stack_new_adapter";
const TRAIN_REUSED: &str = "stage2_absolute.lora.train_reused_adapter";
const FUSION_ENABLED: &str = "stage2_absolute.embedding_fusion.enabled";

/// Why there is no adapter of stage 1, and what would give one.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoAdapter {
    why: &'static str,
    remedy: &'static str,
}

impl NoAdapter {
    pub(super) const DISABLED: Self =
        Self { why: "stage1_relative.enabled is false", remedy: "enable stage 1" };
    pub(super) const HEAD_ONLY: Self =
        Self { why: "stage1_relative.mode is head_only", remedy: "set that to adapter" };
}

/// Decides what is open, and records contradictions; `stage1` says whether there is an adapter of stage 1.
pub(super) fn resolve(
    absolute: &mut AbsoluteSettings,
    stage1: Result<(), NoAdapter>,
    problems: &mut Problems,
) {
    let mode = absolute.mode;
    let implied = Implied::by(mode);
    let mut decide = |key: &str, implied: Option<bool>, flag: &mut Option<bool>, default: bool| {
        if let (Some(implied), Some(given)) = (implied, *flag)
            && implied != given
        {
            problems.add(key, format!("{given} contradicts stage2_absolute.mode {}, change one", mode.key()));
        }
        let decided = implied.or(*flag).unwrap_or(default);
        *flag = Some(decided);
        decided
    };
    let lora = &mut absolute.lora;
    let fusion = decide(FUSION_ENABLED, implied.fusion, &mut absolute.embedding_fusion.enabled, false);
    let stack = decide(STACK, implied.stack, &mut lora.stack_new_adapter, false);
    let reuse = decide(REUSE, implied.reuse, &mut lora.reuse_relative_adapter, stage1.is_ok());
    let train_reused = decide(TRAIN_REUSED, implied.train_reused, &mut lora.train_reused_adapter, !stack);

    if let Err(lack) = stage1 {
        need_stage1(problems, lack, mode, reuse, fusion);
    }
    if fusion && stack {
        problems.add(STACK, format!("true contradicts {FUSION_ENABLED} true, set one to false"));
    }
    if stack && !reuse {
        problems.add(STACK, format!("true without {REUSE} leaves nothing to stack on, set that to true"));
    }
    if stack && train_reused {
        problems
            .add(TRAIN_REUSED, format!("true contradicts {STACK} true, which freezes it, set one to false"));
    }
    absolute.set_transfer(absolute.transfer());
}

fn need_stage1(problems: &mut Problems, lack: NoAdapter, mode: Mode, reuse: bool, fusion: bool) {
    let NoAdapter { why, remedy } = lack;
    let needs = format!("needs the stage-1 adapter, but {why}");
    let implied = Implied::by(mode);
    if implied.reuse == Some(true) || implied.fusion == Some(true) {
        problems.add("stage2_absolute.mode", format!("{} {needs}, {remedy} or use base", mode.key()));
    }
    if reuse && implied.reuse.is_none() {
        problems.add(REUSE, format!("true {needs}, set it to false or {remedy}"));
    }
    if fusion && implied.fusion.is_none() {
        problems.add(FUSION_ENABLED, format!("true {needs}, set it to false or {remedy}"));
    }
}

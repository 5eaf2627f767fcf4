//! Which [`Transfer`] the keys of stage 2 ask for.
//!
//! Published configs say it with flags under `mode: base`, ours may also name it as the mode. A mode implies its
//! flags; a flag spelled out against them is an error, never silently one or the other.

use super::choices::Spellings;
use super::error::Problems;
use super::raw_absolute::RawAbsolute;
use super::settings::Transfer;

/// The flags a mode implies; `None` leaves one open.
#[derive(Debug, Clone, Copy)]
struct Mode {
    adapter: bool,
    reuse: Option<bool>,
    stack: Option<bool>,
    fusion: Option<bool>,
    train_reused: Option<bool>,
}

const BASE: Mode = Mode { adapter: true, reuse: None, stack: None, fusion: None, train_reused: None };
const SCRATCH: Mode = Mode { reuse: Some(false), stack: Some(false), fusion: Some(false), ..BASE };
const FUSION: Mode = Mode { stack: Some(false), fusion: Some(true), ..BASE };

const MODES: &Spellings<Mode> = &[
    ("base", BASE),
    ("embedding_fusion", FUSION),
    ("head_only", Mode { adapter: false, ..SCRATCH }),
    ("scratch", SCRATCH),
    ("baseline", SCRATCH),
    ("warm_start", Mode { reuse: Some(true), stack: Some(false), fusion: Some(false), ..BASE }),
    (
        "stacked",
        Mode { reuse: Some(true), stack: Some(true), fusion: Some(false), train_reused: Some(false), ..BASE },
    ),
    ("fusion", FUSION),
];

const REUSE: &str = "stage2_absolute.lora.reuse_relative_adapter";
const STACK: &str = "stage2_absolute.lora.stack_new_adapter";
const TRAIN_REUSED: &str = "stage2_absolute.lora.train_reused_adapter";
const FUSION_ENABLED: &str = "stage2_absolute.embedding_fusion.enabled";

/// Decides, and records contradictions.
pub(super) fn transfer(raw: &RawAbsolute, stage1: bool, problems: &mut Problems) -> Transfer {
    let lora = &raw.lora;
    let mode = problems.choice("stage2_absolute.mode", &raw.mode, MODES);
    let mut flag = |key: &str, implied: Option<bool>, given: Option<bool>, default: bool| {
        if let (Some(implied), Some(given)) = (implied, given)
            && implied != given
        {
            problems.add(key, format!("{given} contradicts stage2_absolute.mode {}, change one", raw.mode));
        }
        implied.or(given).unwrap_or(default)
    };
    let fusion = flag(FUSION_ENABLED, mode.fusion, raw.embedding_fusion.enabled, false);
    let stack = flag(STACK, mode.stack, lora.stack_new_adapter, false);
    let reuse = flag(REUSE, mode.reuse, lora.reuse_relative_adapter, stage1);
    let train_reused = flag(TRAIN_REUSED, mode.train_reused, lora.train_reused_adapter, !stack);

    if !stage1 {
        need_stage1(problems, raw, mode, reuse, fusion);
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

    match (mode.adapter, fusion, reuse, stack) {
        (false, ..) => Transfer::HeadOnly,
        (_, true, ..) => Transfer::Fusion { reuse, train_adapter: train_reused || !reuse },
        (_, _, true, true) => Transfer::Stacked,
        (_, _, true, false) => Transfer::WarmStart { train_adapter: train_reused },
        (_, _, false, _) => Transfer::Scratch,
    }
}

fn need_stage1(problems: &mut Problems, raw: &RawAbsolute, mode: Mode, reuse: bool, fusion: bool) {
    let needs = "needs the stage-1 adapter, but stage1_relative.enabled is false";
    if mode.reuse == Some(true) || mode.fusion == Some(true) {
        problems.add("stage2_absolute.mode", format!("{} {needs}, enable stage 1 or use base", raw.mode));
    }
    if reuse && mode.reuse.is_none() {
        problems.add(REUSE, format!("true {needs}, set it to false or enable stage 1"));
    }
    if fusion && mode.fusion.is_none() {
        problems.add(FUSION_ENABLED, format!("true {needs}, set it to false or enable stage 1"));
    }
}

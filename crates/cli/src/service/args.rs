//! The options of `serve --scorer`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use pair2score_export::Quantization;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Scoring what programs send")]
pub(crate) struct ServiceArgs {
    /// Score, compare and embed over HTTP instead of hosting a site: a run's checkpoint folder or an exported scorer, or
    /// several. Requests name one by NAME, by default the name of its folder. With --collect: the one scorer that reads
    /// the documents, so that judges get the pairs that tell most beside what it says.
    #[arg(long = "scorer", value_name = "[NAME=]DIR", num_args = 1..)]
    pub(crate) scorers: Vec<NamedFolder>,
    /// File of API keys, one per line; by default none is asked for.
    #[arg(long, value_name = "FILE", requires = "scorers", conflicts_with = "collect")]
    pub(crate) keys: Option<PathBuf>,
    /// Tokens computed together; more of them wait for each other longer.
    #[arg(long, value_name = "N", default_value_t = 8192, requires = "scorers", conflicts_with = "collect", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) batch_tokens: u32,
    /// Tokens that may wait; a request with more than there is room for is told to come back later.
    #[arg(long, value_name = "N", default_value_t = 1 << 18, requires = "scorers", conflicts_with = "collect", value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub(crate) queue_tokens: u32,
    /// Longest body of a request, and longest line of a stream, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, requires = "scorers", conflicts_with = "collect", value_parser = clap::value_parser!(u32).range(1024..=1 << 30))]
    pub(crate) body_limit: u32,
    /// q8: computes with the projections in 8 bits, as `score --quantize q8`.
    #[arg(long, value_name = "KIND", requires = "scorers", conflicts_with = "collect")]
    pub(crate) quantize: Option<Quantization>,
}

/// A folder with the name by which requests ask for its scorer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedFolder {
    pub(super) name: String,
    pub(crate) folder: PathBuf,
}

impl FromStr for NamedFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A folder may have such a sign in its own name.
        let named = text.split_once('=').filter(|(name, _)| is_name(name) && !Path::new(text).exists());
        if let Some((name, folder)) = named {
            return Ok(Self { name: name.into(), folder: folder.into() });
        }
        let folder = PathBuf::from(text);
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        match whole.file_name().and_then(|name| name.to_str()).filter(|name| is_name(name)) {
            Some(name) => Ok(Self { name: name.into(), folder }),
            None => Err(
                "its folder's name cannot stand in an address; give it one of letters, digits, '-', '_' and \
                         '.', as essays=DIR"
                    .into(),
            ),
        }
    }
}

/// Whether a name can stand in an address and in a metric as it is.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 64 && text.chars().all(allowed) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scorer_is_called_as_its_folder_unless_it_is_named() {
        let named = |text: &str| {
            text.parse::<NamedFolder>().map(|named| (named.name, named.folder.to_str().unwrap().to_owned()))
        };
        for (text, name, folder) in [
            ("checkpoints/mine/grammar", "grammar", "checkpoints/mine/grammar"),
            ("checkpoints/mine/grammar/", "grammar", "checkpoints/mine/grammar/"),
            ("essays=checkpoints/mine/grammar", "essays", "checkpoints/mine/grammar"),
            ("runs/lr=0.1/grammar", "grammar", "runs/lr=0.1/grammar"),
            ("a=b=c", "a", "b=c"),
        ] {
            assert_eq!(named(text), Ok((name.into(), folder.into())), "{text}");
        }
        for wrong in ["runs/my scorer", "/", "runs/\"quoted\""] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}

//! Whether a scorer reads prompts, and whether texts come with them: a text without its prompt gets another score than
//! with it, and nothing about that score shows it.

use std::path::Path;

use anyhow::{Result, bail};
use pair2score_scorer::ScorerSettings;

/// Checks that texts come with prompts if, and only if, the scorer of a folder reads them; `option` names the prompts.
///
/// # Errors
/// When one has what the other has not.
pub(crate) fn check(folder: &Path, settings: &ScorerSettings, given: bool, option: &str) -> Result<()> {
    match (&settings.prompt_template, given) {
        (Some(template), false) => bail!(
            "{}: reads the prompt of a text with it, as {:?}; name the prompts with {option}",
            folder.display(),
            template.to_string()
        ),
        (None, true) => {
            bail!("{}: reads texts without prompts; leave out {option}", folder.display())
        }
        _ => Ok(()),
    }
}

//! Whether a scorer reads prompts, and whether texts come with them.

use std::path::Path;

use anyhow::{Result, bail};
use pair2score_data::PromptMismatch;
use pair2score_scorer::ScorerSettings;

/// Checks that texts come with prompts if, and only if, the scorer of a folder reads them; `option` names the prompts.
///
/// # Errors
/// When one has what the other has not.
pub(crate) fn check(folder: &Path, settings: &ScorerSettings, given: bool, option: &str) -> Result<()> {
    let (folder, template) = (folder.display(), settings.prompt_template.as_ref());
    match PromptMismatch::check(template, given) {
        Ok(()) => Ok(()),
        Err(PromptMismatch::Missing) => {
            let template = template.map_or_else(String::new, ToString::to_string);
            bail!(
                "{folder}: reads the prompt of a text with it, as {template:?}; name the prompts with {option}"
            )
        }
        Err(PromptMismatch::Needless) => bail!("{folder}: reads texts without prompts; leave out {option}"),
    }
}

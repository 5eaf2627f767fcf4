//! Backbones that a configuration names as the Hub of Hugging Face does.

use anyhow::{Context, Result};
use pair2score_backbone::hub::HubId;
use pair2score_backbone::resolve;
use pair2score_train::Progress;
use pair2score_train::config::Settings;

/// Where a run notes which commit of the Hub its backbone is.
const NOTE: &str = "backbone_source";

/// Puts the folder of a backbone in the place of its name on the Hub; what is not in the cache of Hugging Face's programs
/// is fetched, which `progress` hears. The commit is noted among the metadata, which go to the outputs.
///
/// # Errors
/// When the repository cannot be fetched.
pub fn fetch(settings: &mut Settings, progress: &mut dyn Progress) -> Result<()> {
    let name = settings.model.backbone.to_string_lossy().into_owned();
    if settings.model.backbone.exists() || HubId::parse(&name).is_none() {
        return Ok(());
    }
    let found = shown(progress, |progress| resolve(&name, progress));
    let (folder, commit) = found.with_context(|| {
        format!("model.base_model: there is no folder {name}, so it is taken for a repository of the Hub")
    })?;
    settings.model.backbone = folder.into();
    if let Some(commit) = commit {
        let repository = name.split('@').next().unwrap_or(&name);
        settings.metadata.insert(NOTE.into(), format!("{repository}@{commit}"));
    }
    Ok(())
}

/// Runs work on a backbone, which `progress` hears.
pub(crate) fn shown<T>(
    progress: &mut dyn Progress,
    work: impl FnOnce(&mut pair2score_backbone::Progress<'_>) -> T,
) -> T {
    let mut stage = String::new();
    let result = work(&mut |what, done, total| {
        if stage != what {
            if !stage.is_empty() {
                progress.end();
            }
            progress.begin(what, total as usize);
            stage = what.to_owned();
        }
        progress.advance(done as usize);
    });
    if !stage.is_empty() {
        progress.end();
    }
    result
}

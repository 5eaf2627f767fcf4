//! The Hugging Face Hub as a source: a repository's files into the cache that Hugging Face's own programs use.
//!
//! A client of our own: the crate `hf-hub` is built on tokio and reqwest since its version 1.0, knows nothing of
//! HF_HUB_OFFLINE and does not say why a repository was refused. What is needed here are three requests.

mod cache;
mod client;

use std::path::PathBuf;

use serde_json::Value;

use crate::{BackboneError, Progress};
use cache::Cache;
use client::Client;

/// A repository and a revision of it: `organisation/name`, or `organisation/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    /// `organisation/name`
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
}

impl HubId {
    /// The id that a text is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (organisation, name) = repository.split_once('/')?;
        let is_name = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(allowed)
        };
        let is_file = name.ends_with(".gguf") || name.ends_with(".safetensors");
        let valid = is_name(organisation) && is_name(name) && !is_file && revision.split('/').all(is_name);
        valid.then(|| Self { repository: repository.into(), revision: revision.into() })
    }
}

impl std::fmt::Display for HubId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.repository, self.revision)
    }
}

/// Where the Hub is and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Address without a slash at its end: `HF_ENDPOINT`.
    pub endpoint: String,
    /// Folder of repositories: `HF_HUB_CACHE`, or `hub` in `HF_HOME`.
    pub cache: PathBuf,
    /// Who asks: `HF_TOKEN`, or what `hf auth login` left.
    pub token: Option<String>,
    /// Whether only the cache may be asked: `HF_HUB_OFFLINE`.
    pub offline: bool,
}

/// The files of a repository that make a backbone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Folder in Hugging Face layout.
    pub folder: PathBuf,
    /// What the revision stands for: 40 hexadecimal digits.
    pub commit: String,
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Hub {
    /// As the environment says, in the variables of Hugging Face's own programs.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
    }

    /// As [`from_environment`](Self::from_environment), with the values that `variable` gives.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| variable(name).map(PathBuf::from);
        let user_cache = || path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
        let home = path("HF_HOME")
            .unwrap_or_else(|| user_cache().unwrap_or_else(|| ".cache".into()).join("huggingface"));
        let token = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
            let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            std::fs::read_to_string(file).ok()
        });
        let on = |name: &str| {
            let value = variable(name).unwrap_or_default().to_lowercase();
            ["1", "on", "yes", "true"].contains(&value.as_str())
        };
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
        }
    }

    /// The files of a backbone: those that the cache lacks are fetched, one that was fetched in part from where it
    /// ended. `progress` hears of bytes.
    ///
    /// # Errors
    /// When there is no such repository or revision, it may not be read, holds no LLaMA that is read here, or cannot be
    /// fetched; what to do is said.
    pub fn snapshot(&self, id: &HubId, progress: &mut Progress<'_>) -> Result<Snapshot, BackboneError> {
        let cache = Cache::new(&self.cache, &id.repository);
        if self.offline {
            return self.cached(&cache, id);
        }
        let client = Client::new(self, id)?;
        let listing = client.listing()?;
        let problem = |problem: String| BackboneError::hub(id, problem);
        check_listing(&listing.files, self, id).map_err(problem)?;
        let mut fetch = |name: &str| cache.fetch(&client, &listing.commit, name, progress);
        let has = |name: &str| listing.files.iter().any(|file| file == name);
        for name in [CONFIG, TOKENIZER, TOKENIZER_CONFIG].into_iter().filter(|&name| has(name)) {
            fetch(name)?;
        }
        // As they are read: an index may be left from before the shards were joined.
        if has(WEIGHTS) {
            fetch(WEIGHTS)?;
        } else {
            for shard in shards(&fetch(INDEX)?)? {
                fetch(&shard)?;
            }
        }
        cache.remember(&id.revision, &listing.commit)?;
        Ok(Snapshot { folder: cache.snapshot(&listing.commit), commit: listing.commit })
    }

    /// What is in the cache, if it is whole.
    fn cached(&self, cache: &Cache, id: &HubId) -> Result<Snapshot, BackboneError> {
        let lacking = |what: &str| {
            BackboneError::hub(
                id,
                format!(
                    "{what} in {}, and HF_HUB_OFFLINE forbids to fetch it; unset HF_HUB_OFFLINE once",
                    self.cache.display()
                ),
            )
        };
        let commit = cache.commit(&id.revision).ok_or_else(|| lacking("is not"))?;
        let folder = cache.snapshot(&commit);
        let has = |name: &str| folder.join(name).is_file();
        let in_shards = !has(WEIGHTS) && has(INDEX);
        let weights = if in_shards { shards(&folder.join(INDEX))? } else { vec![WEIGHTS.to_owned()] };
        let needed = [CONFIG, TOKENIZER].into_iter().chain(weights.iter().map(String::as_str));
        match needed.into_iter().find(|&name| !has(name)) {
            Some(name) => Err(lacking(&format!("lacks {name}"))),
            None => Ok(Snapshot { folder, commit }),
        }
    }
}

/// Whether a repository's files make a backbone, before any of them is fetched.
fn check_listing(files: &[String], hub: &Hub, id: &HubId) -> Result<(), String> {
    let has = |name: &str| files.iter().any(|file| file == name);
    let page = format!("{}/{}", hub.endpoint, id.repository);
    if !has(CONFIG) {
        let gguf = files.iter().find(|file| file.ends_with(".gguf"));
        return Err(match gguf {
            Some(file) => {
                format!("holds GGUF files; fetch one from {page}, for example {file}, and import the file")
            }
            None => "has no config.json, so it is no model in Hugging Face layout".into(),
        });
    }
    if !has(WEIGHTS) && !has(INDEX) {
        let hint = if has("adapter_model.safetensors") {
            "an adapter is not a backbone: import the model it was trained on"
        } else {
            "take a repository or a revision with safetensors, for example refs/pr/1 where a conversion was proposed"
        };
        return Err(format!("has neither {WEIGHTS} nor {INDEX}; {hint}"));
    }
    if !has(TOKENIZER) {
        let found = if has("tokenizer.model") { "tokenizer.model only and " } else { "" };
        return Err(format!(
            "has {found}no tokenizer.json; make a folder with one by AutoTokenizer.from_pretrained(…)\
             .save_pretrained(…) of transformers, and import that folder"
        ));
    }
    Ok(())
}

/// The shards that an index names, each once.
fn shards(index: &std::path::Path) -> Result<Vec<String>, BackboneError> {
    let text = pair2score_data::files::read_text(index)?;
    let invalid = |problem: String| BackboneError::invalid(index, problem);
    let json: Value = serde_json::from_str(&text).map_err(|error| invalid(format!("not JSON: {error}")))?;
    let names = json["weight_map"].as_object().into_iter().flat_map(|map| map.values());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(invalid("names no shards".into()));
    }
    match names.iter().find(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
        Some(name) => Err(invalid(format!("names the shard {name:?}, shards must lie beside the index"))),
        None => Ok(names),
    }
}

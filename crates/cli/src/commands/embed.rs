//! `embed`: pooled embeddings of documents. One that was stopped goes on when it is given again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pair2score_data::{Layout, PromptTemplate, read_texts};
use pair2score_model::{Adapter, Pooling};
use pair2score_scorer::{
    EmbeddingCache, Encoded, Scorer, StoredTensor, WeightDType, load_adapter, write_tensors,
};
use pair2score_train::{Progress, TrainBackend};

use crate::Answer;
use crate::args::EmbedArgs;
use crate::destination;
use crate::device::{Device, OnDevice};
use crate::progress::Terminal;

/// Writes `embeddings [n, d]` and the ids.
pub(crate) fn run(args: EmbedArgs) -> Result<Answer> {
    Device::choose(args.device.device, None)?.run(Embed(args))
}

struct Embed(EmbedArgs);

/// Where the embeddings of a command are kept that has not ended.
fn unfinished(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!("{name}.unfinished"))
}

impl OnDevice for Embed {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let reads = [Some(&args.input), Some(&args.backbone), args.adapter.as_ref()];
        let reads: Vec<&Path> = reads.into_iter().flatten().map(PathBuf::as_path).collect();
        destination::check_file(&args.output, &reads)?;
        let layout = Layout::from(args.layout);
        let documents = read_texts(&args.input, &layout)?;
        let template = layout.columns.prompt.map(|_| PromptTemplate::default());
        let Scorer { text_encoder, mut encoder, .. } =
            Scorer::<B::InnerBackend>::of_backbone(&args.backbone, args.max_length, args.layers, device)?;
        encoder.pooling = if args.last_token { Pooling::Last } else { Pooling::Mean };
        let adapter = match &args.adapter {
            Some(path) => Some(load_adapter::<B::InnerBackend>(path, &encoder.config, device)?.adapter),
            None => None,
        };
        let adapters: Vec<&Adapter<B::InnerBackend>> = adapter.iter().collect();
        let encoded = documents
            .iter()
            .map(|document| text_encoder.passage(document, template.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;

        let ids: Vec<&str> = documents.ids().collect();
        // Without a cache that was asked for, one beside the output holds what is done until all is.
        let unfinished = unfinished(&args.output);
        let cache = args.cache.open().unwrap_or_else(|| EmbeddingCache::new(&unfinished));
        let depths = [encoder.depth()];
        let mut kept = cache.open(&encoder, &adapters, &depths, device)?;
        let mut progress = Terminal::quiet();
        progress.begin("embed", documents.len());
        let references: Vec<&Encoded> = encoded.iter().collect();
        let values = encoder.embed_documents(&references, &adapters, &depths, &mut kept, device, |done| {
            progress.advance(done);
            true
        });
        let values = values.map_err(|error| error.of_document(|place| ids[place].to_owned()))?.remove(0);
        progress.end();
        let width = encoder.config.d_model;
        let shape = vec![documents.len(), width];
        let tensor = StoredTensor { shape, values, dtype: WeightDType::F32 };
        let ids = serde_json::to_string(&ids)?;
        write_tensors(&args.output, &[("embeddings".to_owned(), tensor)].into(), &[("ids", ids)])?;
        if args.cache.open().is_none() && unfinished.is_dir() {
            std::fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}; remove it yourself", unfinished.display()))?;
        }
        let cut = encoded.iter().filter(|document| document.truncated()).count();
        outln!(
            "wrote {}: embeddings [{}, {width}], {cut} documents cut at {} tokens",
            args.output.display(),
            documents.len(),
            args.max_length
        );
        Ok(Answer::Yes)
    }
}

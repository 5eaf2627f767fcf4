//! `embed`: pooled embeddings of documents.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pair2score_data::{Layout, read_texts};
use pair2score_model::{Adapter, Pooling};
use pair2score_scorer::{
    BackboneFolder, Encoder, StoredTensor, TextEncoder, WeightDType, load_adapter, load_backbone,
    write_tensors,
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

impl OnDevice for Embed {
    type Output = Answer;

    fn run<B: TrainBackend>(self, device: &B::Device, _: &str) -> Result<Answer> {
        let Self(args) = self;
        let reads = [Some(&args.input), Some(&args.backbone), args.adapter.as_ref()];
        let reads: Vec<&Path> = reads.into_iter().flatten().map(PathBuf::as_path).collect();
        destination::check_file(&args.output, &reads)?;
        let documents = read_texts(&args.input, &Layout::from(args.layout))?;
        let folder = BackboneFolder::find(&args.backbone)?;
        let text_encoder = TextEncoder::load(&folder.tokenizer, args.max_length)?;
        let (config, backbone) = load_backbone::<B::InnerBackend>(&folder.model, WeightDType::F32, device)?;
        text_encoder.check(&config)?;
        let adapter = match &args.adapter {
            Some(path) => Some(load_adapter::<B::InnerBackend>(path, &config, device)?.adapter),
            None => None,
        };
        let adapters: Vec<&Adapter<B::InnerBackend>> = adapter.iter().collect();
        let pooling = if args.last_token { Pooling::Last } else { Pooling::Mean };
        let encoder = Encoder::new(config, backbone, pooling);
        let encoded = documents
            .iter()
            .map(|document| text_encoder.encode(&document.text))
            .collect::<Result<Vec<_>, _>>()?;

        let mut progress = Terminal::quiet();
        progress.begin("embed", documents.len());
        let values = encoder.map_documents(
            &encoded.iter().collect::<Vec<_>>(),
            |done| progress.advance(done),
            |_, rows| encoder.embed(rows, &adapters, device),
        );
        let ids: Vec<&str> = documents.ids().collect();
        let values = values.map_err(|error| error.of_document(|place| ids[place].to_owned()))?;
        progress.end();
        let width = encoder.config.d_model;
        let shape = vec![documents.len(), width];
        let tensor = StoredTensor { shape, values, dtype: WeightDType::F32 };
        let ids = serde_json::to_string(&ids)?;
        write_tensors(&args.output, &[("embeddings".to_owned(), tensor)].into(), &[("ids", ids)])?;
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

#!/usr/bin/env python3
"""llama.cpp's side of scripts/bench/score_peers.py: a scorer as a GGUF file in 8 bits, and scores by it.

    scripts/bench/llama_q8.py write FOLDER FILE.gguf             FOLDER is what `export --format hf` writes
    scripts/bench/llama_q8.py score FILE.gguf FOLDER DOCUMENTS.csv OUTPUT.csv THREADS

The matrices are in Q8_0, as llama.cpp's own converter makes them. The file has no vocabulary: token ids come from the
scorer's tokenizer.json, the mean over the tokens from llama.cpp, and the head is applied to it here. llama.cpp always
applies the final norm, so the scorer has to read all layers.
"""

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter  # noqa: E402

# Names within a layer, Hugging Face's and llama.cpp's.
NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
WHOLE = {"embed_tokens": "token_embd", "norm": "output_norm"}


def interleaved(weight, heads):
    """The rows of a projection in the order in which llama.cpp turns them: pairs side by side instead of in halves."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write(folder, output):
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(output, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, weight in load_file(folder / "model.safetensors").items():
        module = name.removeprefix("model.").removesuffix(".weight")
        if module in WHOLE:
            target = WHOLE[module]
        else:
            _, layer, inner = module.split(".", 2)
            target = f"blk.{layer}.{NAMES[inner]}"
            if NAMES[inner] in heads:
                weight = interleaved(weight, heads[NAMES[inner]])
        if weight.ndim == 2:
            writer.add_tensor(f"{target}.weight", gguf.quants.quantize(weight, q8), raw_dtype=q8)
        else:
            writer.add_tensor(f"{target}.weight", weight.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def score(model, folder, documents, output, threads):
    import llama_cpp
    import numpy
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    class Ids(llama_cpp.Llama):
        """Takes token ids, as JSON, where others take a text."""

        def tokenize(self, text, *_, **__):
            return json.loads(text)

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with documents.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ids = [encoding.ids for encoding in tokenizer.encode_batch([row["full_text"] for row in rows])]
    longest = max(map(len, ids))
    backbone = Ids(
        str(model), embedding=True, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN, n_ctx=longest, n_batch=longest,
        n_ubatch=longest, n_threads=threads, n_threads_batch=threads, verbose=False,
    )
    means = numpy.array([backbone.embed(json.dumps(one), normalize=False, truncate=False) for one in ids])
    head = load_file(folder / "head.safetensors")
    hidden = numpy.maximum(means @ head["0.weight"].T + head["0.bias"], 0)
    scores = hidden @ head["2.weight"].T + head["2.bias"]
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "score"])
        writer.writerows([row["text_id"], value] for row, value in zip(rows, scores[:, 0].tolist()))


def main():
    enter("llama")
    match sys.argv[1:]:
        case ["write", folder, output]:
            write(Path(folder), output)
        case ["score", model, folder, documents, output, threads]:
            score(Path(model), Path(folder), Path(documents), Path(output), int(threads))
        case _:
            sys.exit("usage: scripts/bench/llama_q8.py write FOLDER FILE | score FILE FOLDER DOCUMENTS OUTPUT THREADS")


if __name__ == "__main__":
    main()

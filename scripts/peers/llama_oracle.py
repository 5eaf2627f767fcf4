#!/usr/bin/env python3
"""Reference values of transformers, PEFT and scikit-learn for a tiny LLaMA, which the tests compare ours with.

    python3 scripts/peers/llama_oracle.py              computes them again and compares with the committed ones
    python3 scripts/peers/llama_oracle.py --write      and writes them to crates/scorer/tests/fixtures/oracle

What is random was drawn once and is kept: the backbone, `adapter/`, the pairs and texts, and the values that both stages
start from (`init.` in the stage files). Everything else follows from these here, on the CPU in f32: hidden states,
embeddings, the adapter merged, ten steps of AdamW of stage 1 and of every transfer of stage 2, and metrics. Prints the
largest difference of each kind; exit code 1 where one is above what rounding explains. PyTorch (6 GB) goes into a
virtual environment in the cache; nothing else is downloaded.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

enter("torch", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, root_mean_squared_error  # noqa: E402
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding  # noqa: E402

FIXTURES = ROOT / "crates/scorer/tests/fixtures"
ORACLE = FIXTURES / "oracle"
STEPS = 10
# Another release of PyTorch sums in another order: a few steps of f32, which ten steps of training multiply.
ROUNDING, TRAINED = 2e-5, 2e-4


class Documents:
    """The texts as the backbone reads them: cut, and padded on the left."""

    def __init__(self, expected):
        tokenizer = AutoTokenizer.from_pretrained(ORACLE / "backbone")
        length = expected["max_length"]
        self.whole = [tokenizer(text)["input_ids"] for text in expected["texts"]]
        rows = [ids[:length] for ids in self.whole]
        self.ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        self.mask = torch.zeros_like(self.ids)
        for row, ids in enumerate(rows):
            self.ids[row, self.ids.shape[1] - len(ids) :] = torch.tensor(ids)
            self.mask[row, self.ids.shape[1] - len(ids) :] = 1
        self.ids[self.mask == 0] = tokenizer.pad_token_id

    def states(self, model):
        """Hidden states of every layer, zero where there is padding; the last after the final norm."""
        causal = model.get_base_model() if isinstance(model, PeftModel) else model
        states = causal.model(input_ids=self.ids, attention_mask=self.mask, output_hidden_states=True).hidden_states
        return [state * self.mask[..., None] for state in states]

    def pooled(self, model):
        return self.states(model)[-1].sum(1) / self.mask.sum(1, keepdim=True)


def backbone():
    return LlamaForCausalLM.from_pretrained(ORACLE / "backbone", dtype=torch.float32).eval()


def fresh_adapter(expected, values, prefix):
    """The backbone with an adapter of these values."""
    lora = expected["lora"]
    config = LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=lora["target_modules"],
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(backbone(), config)
    set_factors(model, "default", values, prefix)
    return model


def factors(model, adapter):
    """The parameters of an adapter by their names in the stage files."""
    start = "base_model.model."
    named = ((name, p) for name, p in model.named_parameters() if f".{adapter}.weight" in name)
    return {name.removeprefix(start).replace(f".{adapter}.weight", ".weight"): p for name, p in named}


def set_factors(model, adapter, values, prefix):
    for name, parameter in factors(model, adapter).items():
        parameter.data = values[f"{prefix}.{name}"].clone()


def train(parameters, settings, loss):
    """Losses of ten steps of AdamW, and the gradients of the first."""
    betas, eps = settings.get("betas", (0.9, 0.999)), settings.get("eps", 1e-8)
    optimizer = torch.optim.AdamW(
        parameters, lr=settings["lr"], betas=betas, eps=eps, weight_decay=settings["weight_decay"]
    )
    losses, first = [], None
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        first = first or [parameter.grad.clone() for parameter in parameters]
        optimizer.step()
        losses.append(value.item())
    return losses, first


def forward_values(documents):
    """Of the backbone with and without `adapter/`, and of the positions."""
    model = backbone()
    found = {"input_ids": documents.ids.int(), "attention_mask": documents.mask.int()}
    for layer, state in enumerate(documents.states(model)):
        found[f"hidden.{layer}"] = state
    found["pooled"] = documents.pooled(model)
    found["inv_freq"] = model.model.rotary_emb.inv_freq
    large = LlamaConfig(**json.loads((FIXTURES / "llama_3_2_1b.config.json").read_text()))
    found["inv_freq.llama_3_2_1b"] = LlamaRotaryEmbedding(large).inv_freq
    adapted = PeftModel.from_pretrained(model, ORACLE / "adapter")
    found["pooled.adapter"] = documents.pooled(adapted)
    merged = adapted.merge_and_unload()
    found["pooled.merged"] = documents.pooled(merged)
    found["merged.layers.0.q_proj"] = merged.model.layers[0].self_attn.q_proj.weight
    return found


def stage_1(documents, expected, start):
    """Losses, what belongs to `expected.safetensors`, the values at the end, and the trained model."""
    settings = expected["stage1"]
    model = fresh_adapter(expected, start, "init")
    head = torch.nn.Parameter(start["init.relative_head.weight"].clone())
    named = {**factors(model, "default"), "relative_head.weight": head}
    left, right = zip(*settings["pairs"])
    labels = torch.tensor(settings["labels"])

    def logits():
        utilities = (documents.pooled(model) @ head.T)[:, 0]
        return utilities[list(left)] - utilities[list(right)]

    loss = lambda: torch.nn.functional.binary_cross_entropy_with_logits(logits(), labels)
    found = {"stage1.logits": logits()}
    losses, gradients = train(list(named.values()), settings, loss)
    for name, gradient in zip(named, gradients):
        found[f"stage1.grad.{name}"] = gradient
    found["stage1.pooled.final"] = documents.pooled(model)
    return losses, found, {f"final.{name}": value for name, value in named.items()}, model


def stage_2(kind, documents, expected, start, trained):
    """Losses, and the values at the end, of a transfer from the trained values of stage 1."""
    prefix = f"{kind}.init"
    if kind in ("baseline", "stacked"):
        model = fresh_adapter(expected, start, prefix)
    else:
        model = fresh_adapter(expected, trained, "final")
    parameters = list(factors(model, "default").values())
    frozen = fresh_adapter(expected, trained, "final")
    if kind == "stacked":
        # Both at once: PEFT adds up the active adapters, and stage 1's is not trained.
        model.add_adapter("stage1", model.peft_config["default"])
        set_factors(model, "stage1", trained, "final")
        model.base_model.set_adapter(["default", "stage1"])
        for parameter in factors(model, "stage1").values():
            parameter.requires_grad_(False)
    with torch.no_grad():
        other = documents.pooled(frozen)
    head = {name: torch.nn.Parameter(start[f"{prefix}.head.{name}"].clone()) for name in HEAD}

    def predictions():
        x = documents.pooled(model)
        x = torch.cat([x, other], 1) if kind == "fusion" else x
        x = torch.relu(x @ head["0.weight"].T + head["0.bias"])
        return (x @ head["2.weight"].T + head["2.bias"])[:, 0]

    targets = torch.tensor(expected["stage2"]["targets"])
    found = {f"{kind}.pred.initial": predictions()}
    losses, _ = train(
        [*parameters, *head.values()], expected["stage2"], lambda: (predictions() - targets).abs().mean()
    )
    found[f"{kind}.pred.final"] = predictions()
    found |= {f"{kind}.final.head.{name}": value for name, value in head.items()}
    return losses, found


HEAD = ("0.weight", "0.bias", "2.weight", "2.bias")


def metrics(case):
    """The same case with the numbers of scikit-learn."""
    y, p = np.array(case["y_true"]), np.array(case["y_pred"])
    low, step = case["min"], case["step"]
    last = round((case["max"] - low) / step)
    place = lambda values, shift: np.clip(np.floor((values - low) / step + shift), 0, last).astype(int)

    def kappa(shift, grades):
        value = cohen_kappa_score(place(y, shift), place(p, shift), labels=grades, weights="quadratic")
        return 0.0 if np.isnan(value) else float(value)

    return {
        **case,
        "mae": float(mean_absolute_error(y, p)),
        "rmse": float(root_mean_squared_error(y, p)),
        # As the published code calls it: distances are counted in grades that occur.
        "qwk_floor_bins": kappa(0.0, None),
        "qwk_nearest_grade": kappa(0.5, range(last + 1)),
    }


class Comparison:
    """What was found against what is committed."""

    def __init__(self):
        self.failed = False

    def numbers(self, what, found, committed, tolerance):
        found, committed = (torch.as_tensor(x).detach().double() for x in (found, committed))
        apart = (found - committed).abs().max().item() if found.shape == committed.shape else float("inf")
        passes = apart <= tolerance
        self.failed |= not passes
        print(f"{what:<40} {apart:.1e} of {tolerance:.1e} allowed{'' if passes else '  EXCEEDED'}")

    def tensors(self, what, found, committed, tolerance):
        for name in found.keys() & committed.keys():
            self.numbers(f"{what} {name}", found[name], committed[name], tolerance)
        for name in committed.keys() - found.keys():
            self.failed = True
            print(f"{what} {name}: not computed")


def main():
    torch.manual_seed(0)
    expected = json.loads((ORACLE / "expected.json").read_text())
    tensors, start1, start2 = (load_file(ORACLE / f"{n}.safetensors") for n in ("expected", "stage1", "stage2"))
    documents = Documents(expected)
    found = forward_values(documents)
    losses1, more, final1, model = stage_1(documents, expected, start1)
    found |= more
    losses2, final2 = {}, {}
    for kind in expected["stage2"]["losses"]:
        # From the committed values, so that the differences of stage 1 do not add up.
        losses2[kind], values = stage_2(kind, documents, expected, start2, start1)
        final2 |= values
    cases = [metrics(case) for case in expected["metrics"]]

    comparison = Comparison()
    if documents.whole != expected["tokenizer_ids"]:
        comparison.failed = True
        print("the token ids differ")
    # Gradients of the first step are kept for one projection only.
    found = {name: value for name, value in found.items() if name in tensors or not name.startswith("stage1.grad.")}
    final = {name for name in tensors if name.endswith(".final")}
    comparison.tensors("forward", {n: v for n, v in found.items() if n not in final},
                       {n: v for n, v in tensors.items() if n not in final}, ROUNDING)
    comparison.tensors("trained", {n: found[n] for n in final}, {n: tensors[n] for n in final}, TRAINED)
    kept = {n: v for n, v in start1.items() if n.startswith("final.")}
    comparison.tensors("stage 1", final1, kept, TRAINED)
    kept = {n: v for n, v in start2.items() if ".init." not in n}
    comparison.tensors("stage 2", final2, kept, TRAINED)
    comparison.numbers("losses of stage 1", losses1, expected["stage1"]["losses"], TRAINED)
    for kind, losses in losses2.items():
        comparison.numbers(f"losses of {kind}", losses, expected["stage2"]["losses"][kind], TRAINED)
    for i, (case, committed) in enumerate(zip(cases, expected["metrics"])):
        for name in ("mae", "rmse", "qwk_floor_bins", "qwk_nearest_grade"):
            comparison.numbers(f"metrics {i} {name}", case[name], committed[name], 1e-12)

    if "--write" in sys.argv[1:]:
        expected["tokenizer_ids"], expected["metrics"] = documents.whole, cases
        expected["stage1"]["losses"], expected["stage2"]["losses"] = losses1, losses2
        names = {"torch": "torch", "transformers": "transformers", "peft": "peft", "sklearn": "scikit-learn"}
        expected["made_with"] = {name: version(package) for name, package in names.items()}
        (ORACLE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False))
        own = lambda values: {name: value.detach().contiguous().clone() for name, value in values.items()}
        save_file(own(found), ORACLE / "expected.safetensors")
        save_file(own({**start1, **final1}), ORACLE / "stage1.safetensors")
        save_file(own({**start2, **final2}), ORACLE / "stage2.safetensors")
        model.save_pretrained(ORACLE / "stage1_adapter")
    return 1 if comparison.failed else 0


if __name__ == "__main__":
    sys.exit(main())

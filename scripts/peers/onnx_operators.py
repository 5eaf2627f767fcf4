#!/usr/bin/env python3
"""Records what onnxruntime makes of the operators that the ONNX export writes.

    python3 scripts/peers/onnx_operators.py

Writes crates/export/tests/fixtures/onnx_operators.json, with which the tests compare the evaluator that reads exports
back (crates/export/src/onnx/operators.rs). Every case is a model of one node: random inputs of a fixed seed, the
attributes, and the outputs of onnxruntime on the CPU.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

enter("onnx")

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

OUTPUT = ROOT / "crates/export/tests/fixtures/onnx_operators.json"
TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}
RANDOM = np.random.default_rng(36)


def floats(*shape, dtype=np.float32):
    return np.asarray(RANDOM.normal(0, 2, shape)).astype(dtype)


def counts(*shape, high=4, dtype=np.int32):
    return np.asarray(RANDOM.integers(0, high, shape)).astype(dtype)


def flags(*shape):
    return np.asarray(RANDOM.integers(0, 2, shape)).astype(bool)


def ints(*values):
    return np.array(values, dtype=np.int64)


def cases():
    """Operator, inputs, attributes, number of outputs."""
    for kind in ("Add", "Sub", "Mul", "Div"):
        yield kind, [floats(2, 3, 4), floats(4)], {}
        yield kind, [floats(2, 3, 4), floats(2, 3, 1)], {}
    yield "Add", [floats(2, 4, 3, 3), floats(2, 1, 3, 3)], {}
    yield "Mul", [floats(2, 3), floats()], {}
    yield "Mul", [counts(2, 5), counts(2, 5)], {}
    yield "Equal", [counts(2, 5), counts(2, 1)], {}
    yield "LessOrEqual", [counts(2, 1, 5), counts(2, 5, 1)], {}
    yield "And", [flags(2, 5, 5), flags(2, 1, 5)], {}
    yield "Where", [flags(2, 5, 5), floats(), floats()], {}
    yield "Sqrt", [np.abs(floats(3, 4))], {}
    yield "Sigmoid", [floats(3, 4) * 10], {}
    yield "Relu", [floats(3, 4)], {}
    yield "Softmax", [floats(2, 3, 5) * 10], {"axis": -1}
    # Attention to hidden tokens.
    yield "Softmax", [floats(4, 6) + np.where(flags(4, 6), np.float32(-1e9), np.float32(0))], {"axis": -1}
    yield "ReduceSum", [floats(3, 5), ints(1)], {}
    yield "ReduceMean", [floats(2, 3, 8), ints(-1)], {}
    yield "CumSum", [counts(3, 6), np.array(1, np.int64)], {}
    yield "CumSum", [counts(3, 6), np.array(1, np.int64)], {"exclusive": 1}
    yield "MatMul", [floats(2, 3, 8), floats(8, 5)], {}
    yield "MatMul", [floats(2, 8), floats(8, 5)], {}
    yield "MatMul", [floats(2, 2, 3, 8), floats(2, 2, 8, 4)], {}
    yield "MatMul", [floats(2, 1, 6), floats(2, 6, 8)], {}
    yield "MatMul", [floats(2, 3, 8, dtype=np.float16), floats(8, 5, dtype=np.float16)], {}
    yield "Gather", [floats(7, 3), counts(2, 4, high=7, dtype=np.int64)], {"axis": 0}
    yield "Gather", [floats(7, 3, dtype=np.float16), counts(2, 4, high=7)], {"axis": 0}
    yield "Reshape", [floats(2, 3, 8), ints(0, 0, 4, 2)], {}
    yield "Reshape", [floats(2, 4, 3, 8), ints(0, 2, -1, 8)], {}
    yield "Reshape", [floats(2, 2, 6, 3), ints(0, 4, -1, 0)], {}
    yield "Reshape", [floats(2, 1, 8), ints(0, -1)], {}
    yield "Unsqueeze", [floats(2, 3), ints(1)], {}
    yield "Unsqueeze", [counts(2, 3), ints(2)], {}
    yield "Squeeze", [floats(3, 1), ints(-1)], {}
    yield "Transpose", [floats(2, 3, 4, 5)], {"perm": [0, 2, 1, 3]}
    yield "Transpose", [floats(2, 3, 4, 5)], {"perm": [0, 1, 3, 2]}
    yield "Concat", [floats(2, 3), floats(2, 4)], {"axis": 1}
    yield "Concat", [floats(2, 3, 2, 4), floats(2, 3, 2, 4)], {"axis": 3}
    yield "Split", [floats(2, 3, 2, 8), ints(4, 4)], {"axis": 3}
    yield "Identity", [floats(2, 3)], {}
    for values, to in [
        (counts(2, 3, dtype=np.int64), "int32"),
        (np.float32([3, 0, 7]), "int32"),
        (counts(2, 3), "bool"),
        (counts(2, 3), "float32"),
        (flags(2, 3), "float32"),
        # Halfway cases, an overflow and a number below the smallest.
        (np.float32([1 + 2**-11, 1 + 3 * 2**-11, 0.1, 1e6, 1e-9, -3.3]), "float16"),
        (floats(2, 3, dtype=np.float16), "float32"),
    ]:
        yield "Cast", [values], {"to": TYPES[to]}


def tensor(values):
    """As JSON: floats by the shortest decimals that mean them, an infinity as a string."""
    number = lambda v: v.item() if v.dtype.kind in "ib" else float(str(v)) if np.isfinite(v) else str(v)
    flat = [number(v) for v in values.reshape(-1)]
    return {"type": str(values.dtype), "shape": list(values.shape), "values": flat}


def record(kind, inputs, attributes):
    names = [f"input_{i}" for i in range(len(inputs))]
    outputs = [f"output_{i}" for i in range(2 if kind == "Split" else 1)]
    node = helper.make_node(kind, names, outputs, **attributes)
    described = [
        helper.make_tensor_value_info(name, TYPES[str(values.dtype)], values.shape)
        for name, values in zip(names, inputs)
    ]
    # The types of the outputs follow from the inputs.
    undescribed = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph([node], kind, described, undescribed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(outputs, dict(zip(names, inputs)))
    return {
        "operator": kind,
        "attributes": attributes,
        "inputs": [tensor(values) for values in inputs],
        "outputs": [tensor(values) for values in found],
    }


def main():
    lines = [json.dumps(record(*case)) for case in cases()]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"wrote {len(lines)} cases of onnxruntime {onnxruntime.__version__} to {OUTPUT}")


if __name__ == "__main__":
    main()

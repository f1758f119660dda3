"""The ensemble as one ONNX graph: a scaled window in, the scaled outputs of every network out.

Built from the weights alone, checked by onnxruntime against torch before it is written.
Shapes: B windows, T steps, F features, C cells, S seeds, K outputs.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpo.errors import UsageError
from hpo.export.contents import Contents
from hpo.export.signature import Signature
from hpo.training.trainer import Weights

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Singles = npt.NDArray[np.float32]

OPSET, IR_VERSION = 17, 8  # of 2022: what runs models has known them for years
TOLERANCE = 1e-5
CHECKED_WINDOWS = 64


def refuse_missing() -> None:
    """Raise UsageError where the packages of the extra are not installed."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UsageError(f"--onnx needs {' and '.join(missing)}", remedy="pip install hpo[onnx]")


def checked(contents: Contents) -> bytes:
    """The graph as a file's bytes; its outputs are torch's to 1e-5 (of those above 1, relatively).

    Input `x` is float32 of shape (B, lookback, F), output `y` of shape (B, S, K).
    """
    content: bytes = graph_of(contents).SerializeToString()
    shape = (CHECKED_WINDOWS, contents.signature.lookback, contents.signature.inputs)
    x_BTF = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected_BSK = torch_outputs(contents, x_BTF)
    size_BSK = np.maximum(np.abs(expected_BSK), 1)
    worst = float((np.abs(run(content, x_BTF) - expected_BSK) / size_BSK).max())
    if not worst <= TOLERANCE:
        raise AssertionError(f"onnxruntime and torch differ by {worst:g}")
    return content


def run(content: bytes, x_BTF: Singles) -> Singles:
    """y_BSK by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [y_BSK] = session.run(["y"], {"x": x_BTF})
    return np.asarray(y_BSK, dtype=np.float32)


def torch_outputs(contents: Contents, x_BTF: Singles) -> Singles:
    """y_BSK by torch."""
    from hpo.training.torch_trainer import TorchTrainer

    trainer, shape = TorchTrainer("cpu"), contents.signature.shape
    outputs = [trainer.predictor(shape, w)(x_BTF) for w in contents.weights.values()]
    return np.stack(outputs, axis=1)


def graph_of(contents: Contents) -> "ModelProto":
    """The graph, with the signature among its metadata."""
    from onnx import TensorProto, checker, helper

    signature = contents.signature
    graph = _Graph()
    steps_first = graph.node("Transpose", ["x"], perm=[1, 0, 2])
    outputs = [
        _network(graph, f"{seed}.", weights, steps_first, signature)
        for seed, weights in contents.weights.items()
    ]
    graph.node("Concat", outputs, name="y", axis=1)
    x_shape: list[str | int | None] = ["windows", signature.lookback, signature.inputs]
    y_shape: list[str | int | None] = ["windows", len(contents.weights), signature.outputs]
    made = helper.make_graph(
        graph.nodes,
        "networks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)],
        graph.constants,
    )
    model = helper.make_model(
        made,
        producer_name="hpo",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {"signature": signature.model_dump_json()})
    checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants on their way to a graph; names are counted."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def node(self, kind: str, inputs: list[str], *, name: str = "", out: int = 0, **to: Any) -> str:
        """Add a node; the name of its output number `out`, the only one that is used."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [""] * out + [name], **to))
        return name

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """Add a constant; its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _network(graph: _Graph, prefix: str, weights: Weights, x_TBF: str, signature: Signature) -> str:
    """Add one network; the name of its outputs (B, 1, K)."""
    first, second = (
        graph.constant(f"{prefix}axis_{a}", np.array([a], dtype=np.int64)) for a in (0, 1)
    )
    h_TBC = x_TBF
    for layer, cells in enumerate(signature.cells):
        is_last = layer == len(signature.cells) - 1
        inputs = [h_TBC, *_layer(graph, f"{prefix}layers.{layer}.", weights, layer)]
        # every step for the next layer (T, 1, B, C); the last step alone for the head (1, B, C)
        h = graph.node("LSTM", inputs, out=1 if is_last else 0, hidden_size=cells)
        h_TBC = graph.node("Squeeze", [h, first if is_last else second])
    head = [graph.constant(f"{prefix}{n}", weights[n]) for n in ("head.weight", "head.bias")]
    y_BK = graph.node("Gemm", [h_TBC, *head], transB=1)
    return graph.node("Unsqueeze", [y_BK, second])


def _layer(graph: _Graph, prefix: str, weights: Weights, layer: int) -> list[str]:
    """The constants W, R and B of an ONNX LSTM: one direction first, gates i, o, f, c."""
    ih, hh, bias_ih, bias_hh = (
        _iofc(weights[f"layers.{layer}.{name}_l0"])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return [
        graph.constant(f"{prefix}W", ih[None]),
        graph.constant(f"{prefix}R", hh[None]),
        graph.constant(f"{prefix}B", np.concatenate([bias_ih, bias_hh])[None]),
    ]


def _iofc(array: Singles) -> Singles:
    """Gates from torch's order i, f, g, o (along the first axis) to ONNX's i, o, f, c."""
    i, f, g, o = np.split(array, 4)
    return np.concatenate([i, o, f, g])

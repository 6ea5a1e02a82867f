"""The kinds of file that a graph can be written as: ONNX, torch.export and AOTInductor."""

import logging
import platform
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from worker.engine.emotivoice.graphs import Graph, Tensors
from worker.engine.errors import EngineUnavailable

OPSET = 20  # the first with GELU
CHATTY = (
    "torch.onnx._internal.exporter._registration",  # misses torchvision
    "torch._inductor.utils",  # tells of a folder that is deleted
)

Runner = Callable[..., Tensors]


class ExportError(EngineUnavailable):
    """A model can't be exported here, or what was exported is not what the networks say."""


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    suffix: str
    write: Callable[[ExportedProgram, Graph, Path], None]
    open: Callable[[Path], Runner]
    require: Callable[[], None]  # raises ExportError where it can't be written here
    facts: dict[str, Any] = field(default_factory=dict[str, Any])  # for the manifest


def program_of(graph: Graph, inputs: Tensors) -> ExportedProgram:
    """Return the graph as torch.export has it, with every axis that is named free; the other formats are made of it."""
    program = torch.export.export(graph, inputs, dynamic_shapes=_dynamic(graph))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # else the files would tell the paths of this machine
    _drop_unused(program)
    return program


def _drop_unused(program: ExportedProgram) -> None:
    """Drop the weights that this graph doesn't read: each half of the acoustic model has those of the other."""
    specs = program.graph_signature.input_specs
    for spec, node in list(zip(specs, program.graph.find_nodes(op="placeholder"), strict=True)):
        if spec.kind is InputKind.PARAMETER and spec.target and not node.users:
            specs.remove(spec)
            program.graph.erase_node(node)
            del program.state_dict[spec.target]
    program.graph_module.recompile()


def _dynamic(graph: Graph) -> dict[str, dict[int, Dim]]:
    """The axes that vary, by input; those of one name always have one size."""
    names = {axis for axes in graph.inputs.values() for axis in axes if isinstance(axis, str)}
    dims = {name: Dim(name, max=graph.longest.get(name)) for name in names}
    return {
        name: {place: dims[axis] for place, axis in enumerate(axes) if isinstance(axis, str)}
        for name, axes in graph.inputs.items()
    }


@contextmanager
def quiet() -> Generator[None]:
    """Without what the exporters of torch say of torch itself."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
            warnings.filterwarnings("ignore", r".*torch\.jit\.script_method", DeprecationWarning)
            warnings.filterwarnings("ignore", r"# The axis name: \w+ will not be used", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _write_onnx(program: ExportedProgram, graph: Graph, path: Path) -> None:
    made = torch.onnx.export(  # pyright: ignore[reportUnknownMemberType]
        program,
        dynamo=True,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=_dynamic(graph),
        opset_version=OPSET,
        verbose=False,
    )
    assert made is not None  # it is None without dynamo only
    made.save(path, external_data=False)  # pyright: ignore[reportUnknownMemberType]


def _open_onnx(path: Path) -> Runner:
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # by default all cores
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensors:
        outputs = session.run(None, {name: each.numpy() for name, each in zip(names, inputs, strict=True)})
        return tuple(torch.from_numpy(each) for each in outputs)  # pyright: ignore[reportUnknownMemberType]

    return run


def _require_onnx() -> None:
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"ONNX needs what is not installed: {', '.join(missing)}; "
            "to install it: pip install onnx onnxruntime onnxscript"
        )


def _write_program(program: ExportedProgram, _graph: Graph, path: Path) -> None:
    torch.export.save(program, path)


def _open_program(path: Path) -> Runner:
    return torch.export.load(path).module()


def _require_nothing() -> None:
    pass


def _write_compiled(program: ExportedProgram, _graph: Graph, path: Path) -> None:
    from torch._inductor import aoti_compile_and_package  # pyright: ignore[reportUnknownVariableType]
    from torch._inductor.exc import CppCompileError, InductorError
    from torch._inductor.utils import fresh_cache

    options = {
        "cpp.dynamic_threads": True,  # else it would always use as many threads as there are now
        "cpp_cache_precompile_headers": False,  # pays for many compilations only
    }
    try:
        with fresh_cache(dir=str(path.parent)):  # else much would stay behind in the folder for temporary files
            aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)
    except InductorError as error:
        if not isinstance(error.inner_exception, CppCompileError):
            raise
        lines = error.inner_exception.output.strip().splitlines() or ["it says nothing"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        raise ExportError(f"the C++ compiler failed: {reason}") from error


def _open_compiled(path: Path) -> Runner:
    from torch._inductor import aoti_load_package

    package = aoti_load_package(str(path))
    return lambda *inputs: tuple(package(*inputs))


def _require_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ExportError(
            "AOTInductor needs a C++ compiler, and there is none: install g++, or name one in CXX"
        ) from error


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _open_onnx, _require_onnx, {"opset": OPSET}),
    "torch-export": Format(".pt2", _write_program, _open_program, _require_nothing),
    "aoti": Format(
        ".pt2",
        _write_compiled,
        _open_compiled,
        _require_compiler,
        {"processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"},
    ),
}

"""What every operator of a model's forward, or of a step of its training, does: operations, memory traffic, time.

A ``Ledger`` watches torch's dispatcher. Each operator that computes or moves numbers is entered under its name and its
kind of work (harness.measurement.kind) with its exact operations (harness.measurement.operations), what torch's own
counter gives for it, the bytes it reads and writes, and, where there is a clock, its time. Operators without a formula
that are made of others are taken apart, as torch's FlopCounterMode does it; views and metadata are not entered.

*Kind of a product.* A tensor depends on the clip if any tensor it was computed from does; that is kept for whole
storages, so that views and what is written in place share it. A product of two such tensors is ``attention``, any
other ``projection``. Backward every factor depends on the clip, also those of a weight's gradient; so a product there
has the kind of the forward product whose gradient it belongs to, which autograd's numbers of its nodes tell. Only in a
node that no forward product was seen for (a ``torch.autograd.Function`` of its own) provenance decides.

*Bytes.* Each distinct input and output tensor counts once, numbers times their size; axes that were expanded count as
one. What caches save or cost is not in it.

Nothing here changes what is computed, save that torch's fused nn.TransformerEncoder is run in its parts.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode

from harness.data.skeleton import JOINT_COUNT
from harness.measurement import operations
from harness.measurement.kind import KINDS
from harness.measurement.twin import unfused_attention

Clock = Callable[[], float]
ALL = "all"

LOSS = "sum of squares of the output"
#: What a count with ``training=True`` is of.
TRAINING_STEP = f"forward in training mode and backward of the {LOSS}; no optimiser step"


@dataclass(frozen=True)
class Entry:
    """Sums over the calls of one operator in one kind of work; ``all`` where they go over several.

    flops           exact operations, see harness.measurement.operations
    transcendentals those of them that are exponentials, logarithms and the like
    torch_flops     by torch.utils.flop_counter's convention
    bytes           read and written
    seconds         0 where there was no clock
    """

    operator: str
    kind: str
    calls: int = 0
    flops: int = 0
    transcendentals: int = 0
    torch_flops: int = 0
    bytes: int = 0
    seconds: float = 0.0


_SUMMED = tuple(field.name for field in fields(Entry) if field.name not in ("operator", "kind"))


class Ledger(TorchDispatchMode):
    """A context in which every operator is entered.

    ``clip_tensors`` are the tensors that depend on the clip from the start. With a ``clock`` (seconds) each operator is
    timed, ``synchronise`` called before each reading. ``counted_on`` says what tensors it was, where ``of_model`` or
    ``timed`` made it, and ``output_shape`` the shape of what the model answered.
    """

    def __init__(
        self, *clip_tensors: Tensor, clock: Clock | None = None, synchronise: Callable[[], object] | None = None
    ) -> None:
        super().__init__()
        self.counted_on = ""
        self.output_shape: tuple[int, ...] = ()
        #: B K D L N summed over the forward scans, for the convention 9 B L D N.
        self.scan_state_elements = 0
        #: "operator (why)" -> calls that ``flops`` has nothing for.
        self.uncounted: Counter[str] = Counter()
        #: The same for ``torch_flops``: operators that compute and that torch's counter has no formula for.
        self.uncounted_by_torch: Counter[str] = Counter()
        self._sums: dict[tuple[str, str], list[float]] = {}
        self._of_clip = {_storage(tensor) for tensor in clip_tensors}
        self._product_kinds: dict[int, str] = {}
        self._primitive: set[Any] = set()
        self._clock = clock
        self._synchronise = synchronise or (lambda: None)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":
            return func(*args, **kwargs)
        key = operations.name(func)
        if key not in operations.OPERATIONS and func not in self._primitive:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            self._primitive.add(func)
        if operations.bare(key) in operations.VIEWS:
            return func(*args, **kwargs)
        start = self._now()
        result = func(*args, **kwargs)
        seconds = self._now() - start
        call = operations.call(func, args, kwargs, result)
        self._follow(func, key, call)
        self._enter(func, key, call, _torch_flops(func, args, kwargs, result), seconds)
        return result

    # ---- figures ----

    @property
    def entries(self) -> list[Entry]:
        """One for each operator and kind, in the order in which they were first met."""
        return [Entry(operator, kind, *sums) for (operator, kind), sums in self._sums.items()]  # type: ignore[arg-type]

    @property
    def total(self) -> Entry:
        """Everything."""
        return _summed(self.entries, ALL, ALL)

    def by_kind(self) -> dict[str, Entry]:
        """One for each of KINDS, in that order, also where there is nothing."""
        return {kind: _summed((entry for entry in self.entries if entry.kind == kind), ALL, kind) for kind in KINDS}

    def by_operator(self) -> dict[str, Entry]:
        """One for each operator, in alphabetical order; kind ``all`` where its calls have several."""
        kinds: dict[str, list[Entry]] = {}
        for entry in sorted(self.entries, key=lambda entry: entry.operator):
            kinds.setdefault(entry.operator, []).append(entry)
        return {
            operator: _summed(found, operator, found[0].kind if len(found) == 1 else ALL)
            for operator, found in kinds.items()
        }

    @property
    def without_formula(self) -> list[str]:
        """Operators that may do work nobody has a formula for: a reason for a warning beside the figure."""
        return sorted(name for name in self.uncounted if name.endswith(f"({operations.NO_FORMULA})"))

    # ---- one operator ----

    def _now(self) -> float:
        if self._clock is None:
            return 0.0
        self._synchronise()
        return self._clock()

    def _enter(self, func: Any, key: str, call: operations.Call, torch_flops: int | None, seconds: float) -> None:
        work = operations.work(key, call)
        self._note_uncounted(key, call, work.flops, torch_flops)
        if key == operations.SCAN:
            self.scan_state_elements += operations.scan_state_elements(call)
        sums = self._sums.setdefault((key, self._kind(key, call)), [0] * len(_SUMMED))
        amounts = (1, work.flops, work.transcendentals, torch_flops or 0, _bytes(func, key, call), seconds)
        for index, amount in enumerate(amounts):
            sums[index] += amount

    def _note_uncounted(self, key: str, call: operations.Call, flops: int, torch_flops: int | None) -> None:
        reason = operations.why_uncounted(key, call)
        if reason is not None:
            self.uncounted[f"{key} ({reason})"] += 1
        if torch_flops is None and (reason is not None or flops):
            self.uncounted_by_torch[f"{key} ({reason or operations.NO_FORMULA})"] += 1

    def _depends(self, values: Iterable[Any]) -> bool:
        return any(_storage(tensor) in self._of_clip for tensor in _tensors(values))

    def _follow(self, func: Any, key: str, call: operations.Call) -> None:
        """Mark what comes out and what is written in place, if anything that goes in depends on the clip."""
        if operations.bare(key) in operations.CONSTANTS or not self._depends(call.arguments.values()):
            return
        written = (call.arguments[name] for name in _written(func))
        self._of_clip.update(_storage(tensor) for tensor in _tensors((*call.outputs, *written)))

    def _kind(self, key: str, call: operations.Call) -> str:
        operation = operations.OPERATIONS.get(key)
        if operation is None:
            return "elementwise"
        if operation.factors is None:
            return operation.kind
        both = all(self._depends([call[factor]]) for factor in operation.factors)
        kind = "attention" if both else operation.kind
        node = torch._C._current_autograd_node()
        if node is not None:
            return self._product_kinds.get(node._sequence_nr(), kind)
        # The node of this product, if it has one, is the newest; one that has none must not rename another's.
        self._product_kinds.setdefault(torch.autograd._get_sequence_nr() - 1, kind)
        return kind


def of_model(
    model: nn.Module,
    frames: int,
    in_channels: int,
    joints: int = JOINT_COUNT,
    batch: int = 1,
    training: bool = False,
) -> Ledger:
    """The ledger of one forward on clips (batch, frames, joints, in_channels), or with ``training`` of TRAINING_STEP.

    A twin of the model is run on tensors without numbers, on CPU, so that it costs neither memory nor arithmetic. A
    model that cannot run so (its course depends on its numbers) is run on real ones; ``counted_on`` says why. Dropout
    and drop path are counted as they run. ``model`` is not touched. Raises what the model raises.

    A batch norm that has one number a channel from one clip (a centre-frame lifter's last) raises ValueError in
    training on one: count a step of two.
    """
    return of_shape(model, (batch, frames, joints, in_channels), training)


def of_shape(model: nn.Module, shape: tuple[int, ...], training: bool = False) -> Ledger:
    """The same on an input of any ``shape``, the batch first."""
    try:
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        twin = _fake_twin(model, fake)
        with fake:
            return _run(twin, torch.zeros(shape), training, "tensors without numbers")
    except ValueError:  # the model refuses the clip
        raise
    except Exception as error:  # without numbers a model may fail in any way; if it is at fault it fails again
        reason = f"real tensors, because without numbers: {type(error).__name__}: {error}"
    return _run(copy.deepcopy(model).cpu(), torch.zeros(shape), training, reason)


def timed(model: nn.Module, clips: Tensor, clock: Clock, synchronise: Callable[[], object] | None = None) -> Ledger:
    """The ledger of one forward on ``clips`` (B, T, J, C), each operator timed, after one forward that is not.

    In evaluation, without gradients; the model's own mode is restored. ``synchronise`` waits for the device. What lies
    between the operators (Python, the ledger itself) is in no entry's time.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    ledger = Ledger(clips, clock=clock, synchronise=synchronise)
    ledger.counted_on = f"real tensors on {clips.device}"
    try:
        # Not inference_mode, whatever the caller is in: there operators made of others arrive whole, and torch takes
        # them apart by Python code that copies where its C++ does not.
        with torch.inference_mode(False), torch.no_grad(), unfused_attention():
            model(clips)
            with ledger:
                output = model(clips)
    finally:
        for module, was_training in modes.items():
            module.training = was_training
    ledger.output_shape = tuple(output.shape)
    return ledger


def _run(model: nn.Module, clips: Tensor, training: bool, counted_on: str) -> Ledger:
    model.train(training)
    ledger = Ledger(clips)
    ledger.counted_on = counted_on
    with unfused_attention(), torch.set_grad_enabled(training), ledger:
        output = model(clips)
        if training:
            output.square().sum().backward()
    ledger.output_shape = tuple(output.shape)
    return ledger


def _fake_twin(model: nn.Module, fake: FakeTensorMode) -> nn.Module:
    """A copy whose parameters and buffers are CPU tensors without numbers; tied ones stay tied."""
    memo: dict[int, Any] = {}
    with fake:
        for tensor in (*model.parameters(), *model.buffers()):
            twin = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu")
            is_parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if is_parameter else twin
    return copy.deepcopy(model, memo)


def _summed(entries: Iterable[Entry], operator: str, kind: str) -> Entry:
    found = list(entries)
    return Entry(operator, kind, *(sum(getattr(entry, name) for entry in found) for name in _SUMMED))


def _storage(tensor: Tensor) -> StorageWeakRef:
    """A storage's identity; as long as the reference lives no other storage gets the same."""
    return StorageWeakRef(tensor.untyped_storage())


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _written(func: Any) -> list[str]:
    """Names of the arguments that the operator writes to."""
    return [
        argument.name
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    ]


def _bytes(func: Any, key: str, call: operations.Call) -> int:
    """Read and written by one call."""
    unread = {argument.name for argument in func._schema.arguments if argument.is_out}
    if operations.bare(key) in operations.OVERWRITES | operations.CONSTANTS:
        unread |= {"self"}
    inputs = {
        id(tensor): tensor
        for name, value in call.arguments.items()
        if name not in unread
        for tensor in _tensors([value])
    }
    outputs = {id(tensor): tensor for tensor in _tensors(call.outputs)}
    return sum(_size(tensor) for tensors in (inputs, outputs) for tensor in tensors.values())


def _size(tensor: Tensor) -> int:
    """Bytes of the numbers that a tensor really has: an expanded axis repeats one."""
    own = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride != 0 or size == 0]
    return math.prod(own) * tensor.element_size()


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return flop_counter.sdpa_flop_count(query, key, value)


def _attention_backward_flops(dy: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return flop_counter.sdpa_backward_flop_count(dy, query, key, value)


_ATEN = torch.ops.aten
#: What torch's counter lacks, in its convention, to be given to FlopCounterMode as ``custom_mapping``.
TORCH_FORMULAS: Mapping[Any, Callable[..., int]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
    _ATEN._scaled_dot_product_fused_attention_overrideable: _attention_flops,
    _ATEN._scaled_dot_product_fused_attention_overrideable_backward: _attention_backward_flops,
}
_WRAPPED = {packet: flop_counter.shape_wrapper(formula) for packet, formula in TORCH_FORMULAS.items()}


def _torch_flops(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> int | None:
    """By torch's convention; None where there is no formula."""
    packet = func._overloadpacket
    formula = flop_counter.flop_registry.get(packet) or _WRAPPED.get(packet)
    return None if formula is None else int(formula(*args, **kwargs, out_val=result))

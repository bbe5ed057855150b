"""One training step: forward and backward over the batch, in as many parts and processes as asked, and the update.

The gradient is that of the whole batch's mean loss whatever it is cut into, to rounding: each piece's loss counts by
its share of the clips, and DistributedDataParallel takes the mean over the processes. Batch norms, dropout and drop
path are of a whole part (``harness.training.whole_batch``); accumulated parts have their own.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harness.precision import FLOAT32, REDUCED
from harness.training import losses
from harness.training.activation_checkpointing import recomputing
from harness.training.batches import Batch
from harness.training.random_state import random_state, set_random_state
from harness.training.recipe import Recipe
from harness.training.share import Piece, Share
from harness.training.training import Training
from harness.training.whole_batch import Current, seeing_whole_batch

#: What DistributedDataParallel warns of, and nobody can do anything about: an argument that newer versions call another
#: name, and gradients of grouped convolutions, which have another order in memory than their weights.
_OF_EXCHANGE = (".*broadcast_buffers", ".*Grad strides do not match bucket view strides")
#: Clips on which it is seen which parameters a model has and does not use; batch norms need more than one.
_CLIPS_TRIED = 2


class Step:
    """Of one training. ``with step.ready(): loss = step.gradient(batch); step.update(rate)``."""

    def __init__(self, model: nn.Module, training: Training) -> None:
        self._model, self._training = model, training
        self.share = Share(training.world.rank, training.world.size, training.accumulate)
        self._optimizer = optimizer(model, training.recipe)
        self._scaler = torch.amp.GradScaler(training.device.type, enabled=training.precision == "fp16")
        self._current = Current(Piece(slice(0, 0), 0, 0))
        self._forward: nn.Module | None = None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises what torch raises for a state of another model."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state.get("scaler") or self._scaler.state_dict())

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Steps are taken in this context; outside the model is as it was."""
        if self._training.world.is_alone:
            yield
        else:
            with seeing_whole_batch(self._model, self._current), warnings.catch_warnings():
                for message in _OF_EXCHANGE:
                    warnings.filterwarnings("ignore", message=message)
                yield
        self._forward = None

    def gradient(self, batch: Batch) -> float:
        """Leaves the gradient of the whole batch; returns what this process's clips add to its mean loss."""
        if self._forward is None:
            self._forward = self._distributed(batch)
        self._optimizer.zero_grad(set_to_none=True)
        clips = batch.of_clips or len(batch.inputs)
        pieces = self.share.pieces(clips)
        added = []
        for piece in pieces:
            self._current.piece = piece
            with contextlib.nullcontext() if piece is pieces[-1] else self._not_yet_exchanged():
                added.append(self._backward(batch.at(piece.rows), piece.clips / clips))
        return float(sum(added))  # once: a GPU is waited for here

    def update(self, rate: float) -> None:
        """Take the step at the learning rate ``rate``; with scaled gradients none where they are not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if self._training.recipe.gradient_clip is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._training.recipe.gradient_clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def _backward(self, part: Batch, weight: float) -> Tensor:
        """The backward pass of ``weight`` times the mean loss of ``part``; returns that product."""
        training = self._training
        with recomputing(self._model) if training.activation_checkpointing else contextlib.nullcontext():
            loss = self._loss(part)
        if not training.recipe.squared_loss:
            loss = weight * loss if weight != 1 else loss
            self._scaler.scale(loss * training.world.size if not training.world.is_alone else loss).backward()
            return loss.detach()
        if training.world.is_alone:
            loss = loss.square() / 2
            self._scaler.scale(loss).backward()
            return loss.detach()
        # Half the square of the mean over all processes: its gradient is that mean times the gradient of each part.
        mean = training.world.sums([weight * float(loss.detach())])[0]
        self._scaler.scale(mean * weight * loss * training.world.size).backward()
        return weight * loss.detach().new_tensor(mean**2 / 2)

    def _loss(self, part: Batch) -> Tensor:
        """The recipe's, before it is squared; () in float32."""
        training, forward = self._training, self._forward
        assert forward is not None
        inputs, targets = part.inputs.to(training.device), part.targets.to(training.device)
        if training.objective is not None:
            return training.objective(forward, Batch(inputs, targets))
        if part.whole_targets is None:
            return losses.total(self._full(self._autocast(forward, inputs)), targets, training.recipe.loss)
        prediction, whole = self._autocast(forward, inputs, auxiliary=True)  # (B, K, J, 3), (B, T, J, 3)
        both = losses.total(self._full(prediction), targets, training.recipe.loss)
        whole_targets = part.whole_targets.to(training.device)
        return both + losses.total(self._full(whole), whole_targets, training.recipe.loss)

    def _autocast(self, forward: nn.Module, inputs: Tensor, **options: Any) -> Any:
        with autocast(self._training.precision, self._training.device):
            return forward(inputs, **options)

    def _full(self, prediction: Tensor) -> Tensor:
        return prediction if self._training.precision == FLOAT32 else prediction.float()

    def _not_yet_exchanged(self) -> contextlib.AbstractContextManager[None]:
        forward = self._forward
        return forward.no_sync() if isinstance(forward, DistributedDataParallel) else contextlib.nullcontext()

    def _distributed(self, batch: Batch) -> nn.Module:
        training = self._training
        forward: nn.Module = torch.compile(self._model) if training.compiled else self._model  # type: ignore[assignment]
        if training.world.is_alone:
            return forward
        return DistributedDataParallel(
            forward,
            device_ids=None if training.device.type == "cpu" else [training.device.index],
            broadcast_buffers=False,  # they are equal in all processes
            # Looking for them takes time in every step.
            find_unused_parameters=any(training.world.of_all(_leaves_parameters_out(self._model, training, batch))),
        )


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """In which a forward pass of training is; in float32 nothing."""
    if precision == FLOAT32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=REDUCED[precision])


def optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's, of all parameters of ``model``."""
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimizer]
    return kind(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        amsgrad=recipe.amsgrad,
        fused=True,
    )


def _leaves_parameters_out(model: nn.Module, training: Training, batch: Batch) -> bool:
    """Whether some parameter has no part in the output; True where a trial does not tell."""
    shape = (_CLIPS_TRIED, *batch.inputs.shape[1:])
    # The copy's layers are bound to the original: outside of the exchange between processes each is by itself again.
    tried = _unbound(copy.deepcopy(model))
    before = random_state(training.device)
    try:
        options = {} if batch.whole_targets is None else {"auxiliary": True}
        output = tried(torch.zeros(shape, dtype=batch.inputs.dtype, device=training.device), **options)
        sum(part.sum() for part in (output if isinstance(output, tuple) else (output,))).backward()
        return any(parameter.grad is None for parameter in tried.parameters() if parameter.requires_grad)
    except Exception:
        return True
    finally:
        set_random_state(before, training.device)


def _unbound(model: nn.Module) -> nn.Module:
    for module in model.modules():
        vars(module).pop("forward", None)
    return model

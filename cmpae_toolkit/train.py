"""Training: `fit`, one loop for every method. The epoch and the thresholds are chosen on val; test is never seen here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import data, decode, losses, metrics
from ._files import flat
from ._products import wide_products
from .batches import Loader, Mixed, autocast, choose_device, precision_of
from .checkpoint import CONFIG, SHIPPED, STATE, Run, TrainingState, check_finite, load_parameters, load_run, shipped_run
from .config import MethodConfig, check_same_data, config_for, preset_for
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .inference import predict, score
from .method import Batch, Method, Moment, Supervision
from .methods import get

LAST = "last"  # in place of a score to choose the epoch by: none is chosen
SEED_STRIDE = 100_003  # a prime between the seeds of runs, so that no two runs share an epoch's seed


def fit(
    config: MethodConfig, train_set: VideoSet, val_set: VideoSet, *, supervision: Supervision | None = None, device: str | None = None,
    folder: str | Path | None = None, resume: bool = False, mixed_precision: Mixed = False, step: type[PlainStep] | None = None,
    progress: bool | str = True,
) -> Run:
    """Trains the config's method on weak labels; the epoch, and thresholds where the config asks for it, are chosen on `val_set`.

    Where that has weak labels alone, they are chosen by video-level F (`metrics.video_scores`).

    `supervision`: what the method learns from beside weak labels; by default what its `prepare` makes, earlier stages included. With a
    `folder` the state is saved each epoch, and `resume=True` goes on from it: on CPU to the same weights as without the
    interruption. `mixed_precision`: bfloat16 where it is safe, with "auto" only where the processor has it in hardware; an earlier
    stage stays in float32. `step`: another way to take a training step than `PlainStep`.
    `progress`: whether to show a bar, or what is to stand before it; an earlier stage has a bar of its own.
    Raises InputError when the sets lack labels or do not fit together, when the config is not the method's or asks for a task or a score
    that there is not, or when training diverges.

    >>> from cmpae_toolkit import load, presets
    >>> config = presets["paper"].changed(width=8, epochs=1, estimator_epochs=1)
    >>> fit(config, load("tiny", "train"), load("tiny", "val"), progress=False).best_epoch
    1
    """
    check_trainable(train_set, val_set)
    if config.task == "localization" and val_set.reference is None:
        raise InputError(f"{val_set.title} has weak labels only, and AVE's task needs dense ones: choose another preset, such as paper.")
    method = get(config.method)
    if (type(config).__module__, type(config).__qualname__) != (method.Config.__module__, method.Config.__qualname__):
        raise InputError(f"{type(config).__name__} is no config of the method {config.method!r}, whose own is {method.Config.__name__}: "
                         "a config of your own names its method's class, as \"module:Class\", in `method`.")
    if config.task not in method.tasks:
        raise InputError(f"{config.method} is a method for {' and '.join(sorted(method.tasks))}, and the config's task is {config.task}.")
    if config.select_epoch_by not in (*metrics.SCORE_NAMES, LAST) or (config.select_epoch_by, config.task) == ("accuracy", "parsing"):
        raise InputError(f"there is no score {config.select_epoch_by!r} for {config.task} to choose the epoch by: use one of "
                         f"{', '.join(name for name in metrics.SCORE_NAMES if name != 'accuracy')}, {LAST}, or accuracy for localization.")
    if supervision is None:
        stage = partial(fit, device=device, progress=progress and f"preparing {config.method}")
        supervision = method.prepare(config, train_set, val_set, stage)
    method.check(supervision)
    training = Training(config, train_set, val_set, supervision, device, mixed_precision, step or PlainStep)
    state_file = None if folder is None else Path(folder) / STATE
    if state_file is not None and resume and state_file.is_file():
        training.restore(TrainingState.load(state_file, training.key))
    text = progress if isinstance(progress, str) else f"training {config.method}"
    with tqdm(range(training.epoch + 1, config.epochs + 1), desc=text, disable=not progress) as epochs:
        for epoch in epochs:
            row = training.run_epoch(epoch)
            epochs.set_postfix(loss=f"{row['loss']:.3f}", val=f"{row['mean']:.1f}")
            if state_file is not None:
                training.state().save(state_file)
    return training.finish()


class PlainStep:
    """One step of the method's optimiser on the weighted sum of its losses."""

    def __init__(self, method: Method, device: torch.device, mixed_precision: bool = False) -> None:
        self.method, self.device, self.mixed_precision = method, device, mixed_precision
        self.optimizer = method.optimizer()

    def set_learning_rate(self, rate: float) -> None:
        """The rate of an epoch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def __call__(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """One step; the named losses, and their weighted sum as "loss"."""
        config = self.method.config
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.mixed_precision), wide_products(self.method.parameters()):
            named = self.method.losses(batch, moment)
            loss = losses.total(named, config)
        loss.backward()
        if config.clip_gradient is not None:
            torch.nn.utils.clip_grad_norm_(self.method.parameters(), config.clip_gradient)
        self.optimizer.step()
        return {name: value.detach() for name, value in {"loss": loss, **named}.items()}


class Training:
    """The loop's state. Randomness is seeded per epoch, so that stopping between epochs changes nothing."""

    def __init__(
        self, config: MethodConfig, train_set: VideoSet, val_set: VideoSet, supervision: Supervision, device: str | None = None,
        mixed_precision: Mixed = False, step: type[PlainStep] = PlainStep,
    ) -> None:
        self.config, self.train_set, self.val_set = config, train_set, val_set
        self.device = choose_device(device)
        self.precision = precision_of(mixed_precision, self.device)
        self.mixed_precision = self.precision == "bfloat16"
        with seeded(config.seed):
            self.model = get(config.method)(config, train_set.spec).to(self.device)
        self.step = step(self.model, self.device, self.mixed_precision)
        self.train_loader, self.val_loader = Loader(train_set, self.device, supervision), Loader(val_set, self.device)
        self.supervision = supervision
        self.thresholds = self.start_thresholds = self.model.thresholds()
        self.epoch, self.history = 0, []
        self.best_epoch, self.best = 0, {}
        self.data = {"name": train_set.name, "checksum": train_set.checksum(), "simulated": train_set.simulated}
        self.key = json.loads(json.dumps(self._key()))

    def _key(self) -> dict:
        """All that changes the course of training: a state with another key is not resumed."""
        made = {**self.supervision.constants, **self.supervision.targets}
        supervision = {name: hashlib.sha256(value.cpu().contiguous().numpy().tobytes()).hexdigest() for name, value in made.items()}
        return {
            "method": self.config.method, "config": self.config.to_dict(), "data": self.data, "val": self.val_set.checksum(),
            "supervision": supervision, "precision": self.precision, "torch": torch.__version__,
        }

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Trains for one epoch and returns its row of the history."""
        started = time.perf_counter()
        self.step.set_learning_rate(self.model.learning_rate(epoch))
        with seeded(self.config.seed + SEED_STRIDE * epoch):
            row = self.train_batches(epoch)
        return self.after_epoch(epoch, row, started)

    def after_epoch(self, epoch: int, row: dict[str, float], started: float) -> dict[str, float]:
        """Scores val, keeps the weights where they are the best so far, and chooses thresholds; completes the epoch's row."""
        config, reference = self.config, self.val_set.yardstick
        predicted = predict(self.model, self.val_set, mixed_precision=self.mixed_precision, loader=self.val_loader)
        thresholds = self.start_thresholds
        if thresholds.both is not None and predicted.answer is None:
            thresholds = decode.choose_answer_threshold(predicted, reference, thresholds)
        scores = score(config, self.model.decode(predicted, thresholds), reference, lengths=self.val_set.lengths)
        row = {"epoch": epoch, "learning_rate": self.model.learning_rate(epoch), **row}
        row |= {"mean": metrics.mean_score(scores), **flat(scores), "seconds": time.perf_counter() - started}
        row["chosen_by"] = epoch if config.select_epoch_by == LAST else metrics.pick_score(scores, config.select_epoch_by)
        if all(row["chosen_by"] >= earlier["chosen_by"] for earlier in self.history):
            self.best_epoch, self.best = epoch, {n: v.detach().clone() for n, v in self.model.state_dict().items()}
            if thresholds.both is not None:
                self.thresholds = thresholds
        self.history.append(row)
        at = self.best_epoch if config.threshold_epoch is None else max(1, round(config.threshold_epoch * config.epochs))
        if epoch == at and config.search_thresholds:
            chosen = decode.choose_thresholds(config, predicted, reference, self.start_thresholds)
            self.thresholds = replace(self.thresholds, video=chosen.video)
        self.epoch = epoch
        return row

    def train_batches(self, epoch: int) -> dict[str, float]:
        """One pass over the training set; the mean of each named loss over its videos."""
        self.model.train()
        batches = in_order(self.train_set, self.config)
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(self.train_loader.batches(batches)):
            for name, value in self.step(batch, Moment(epoch, number, len(batches))).items():
                sums[name] = sums.get(name, 0) + value * len(batch)
        return mean_losses(sums, sum(map(len, batches)), epoch)

    def state(self) -> TrainingState:
        """What the next epoch needs."""
        names = dict(enumerate(n for n, _ in self.model.named_parameters()))
        moments = self.step.optimizer.state_dict()["state"]
        optimizer = {f"{names[i]}/{part}": value for i, parts in moments.items() for part, value in parts.items()}
        return TrainingState(
            self.epoch, self.model.state_dict(), optimizer, self.best, self.best_epoch, self.history, self.thresholds.to_dict(), self.key
        )

    def restore(self, state: TrainingState) -> None:
        """Goes back to where the state was taken. Raises InputError where it does not fit this run."""
        load_parameters(self.model, state.model, "the training state")
        numbers = {n: i for i, (n, _) in enumerate(self.model.named_parameters())}
        moments: dict[int, dict[str, Tensor]] = {}
        try:
            for name, value in state.optimizer.items():
                parameter, _, part = name.rpartition("/")
                moments.setdefault(numbers[parameter], {})[part] = value
            optimizer = self.step.optimizer
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
            self.history = [dict(row) for row in state.history]
            self.epoch, self.best_epoch, self.best = int(state.epoch), int(state.best_epoch), state.best
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the training state is damaged ({error}): delete it to start anew.") from None
        self.thresholds = Thresholds.from_dict(state.thresholds, self.train_set.categories)

    def finish(self) -> Run:
        """The run with the weights of the best epoch."""
        check_finite(self.best, f"the run on {self.train_set.title}")
        self.model.load_state_dict(self.best)
        return Run(self.model.eval(), pd.DataFrame(self.history), self.thresholds, self.best_epoch, self.data, self.precision)


def trained_run(data_name: str, preset: str | None = None) -> Run:
    """A run to look at: the shipped one where it fits, one trained earlier by this call, else one trained now and kept.

    The notebooks call this, so that every data set and preset that the environment names works. Kept under `CMPAE_HOME`.

    >>> trained_run("small", "paper").config.width  # the shipped one
    128
    """
    chosen = preset_for(data_name, preset)
    config = config_for(data_name, chosen)
    if data.simulated_size(data_name) == "small" and chosen in SHIPPED:
        return shipped_run(chosen)
    train_set, val_set = (data.load(data_name, split) for split in ("train", "val"))
    key = hashlib.sha256(repr((config, train_set.checksum(), val_set.checksum())).encode()).hexdigest()[:16]
    folder = data.home() / "runs" / key
    if (folder / CONFIG).is_file():
        return load_run(folder)
    run = fit(config, train_set, val_set)
    run.save(folder)
    return run


def check_trainable(train_set: VideoSet, val_set: VideoSet) -> None:
    """Raises InputError unless the one has weak labels, the other a reference or weak labels, and both the same form.

    >>> from cmpae_toolkit import load
    >>> check_trainable(load("tiny", "train"), load("tiny", "val"))
    """
    if train_set.weak_labels is None or not len(train_set):
        raise InputError(f"{train_set.title} has no weak labels to train on.")
    if val_set.yardstick is None or not len(val_set):
        raise InputError(f"{val_set.title} has no labels to choose the epoch by.")
    check_same_data(train_set.spec, val_set.spec, val_set.title)


def in_order(train_set: VideoSet, config: MethodConfig) -> list[np.ndarray]:
    """The positions of a training set's videos in batches, in the order that the config names; the random one is of torch's generator.

    >>> from cmpae_toolkit import load, presets
    >>> [len(batch) for batch in in_order(load("tiny", "train").subset(range(5)), presets["paper"].changed(batch_size=2))]
    [2, 2, 1]
    """
    count, size = len(train_set), config.batch_size
    if config.order == "shuffled":
        return np.array_split(torch.randperm(count).numpy(), range(size, count, size))
    weak = train_set.weak_labels > 0.5
    first = np.where(weak.any(1), weak.argmax(1), weak.shape[1])  # videos without a label, AVE's background, come last
    batches = np.array_split(np.argsort(first, kind="stable"), range(size, count, size))
    return batches[:-1] if count % size and count > size else batches


def mean_losses(sums: dict[str, Tensor], count: int, epoch: int) -> dict[str, float]:
    """Sums over videos -> means. Raises InputError when training has diverged.

    >>> mean_losses({"loss": torch.tensor(6.0)}, count=4, epoch=1)
    {'loss': 1.5}
    """
    row = {name: float(value) / count for name, value in sums.items()}
    if not np.isfinite(row["loss"]):
        raise InputError(f"the loss is {row['loss']} in epoch {epoch}: check the features' scale, or lower the learning rate.")
    return row


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generators seeded inside and as they were outside.

    >>> with seeded(3):
    ...     first = torch.rand(1)
    >>> with seeded(3):
    ...     bool(torch.rand(1) == first)
    True
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield

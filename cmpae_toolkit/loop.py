"""One training run, epoch by epoch, and what is chosen on val after each."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from . import decode, labels, losses, metrics
from .config import Config
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .graphs import StaticStep
from .inference import autocast, predict, score
from .loading import Loader, choose_device
from .model import CMPAE
from .runs import Run, TrainingState, flat
from .steps import adam, learning_rate, set_learning_rate, shuffled, teacher_of, training_step

SEED_STRIDE = 100_003  # a prime between the seeds of runs, so that no two runs share an epoch's seed


class Training:
    """The loop's state. Randomness is seeded per epoch, so that stopping between epochs changes nothing."""

    def __init__(
        self, config: Config, train_set: VideoSet, val_set: VideoSet, ratios: Tensor | None, device: str | None,
        mixed_precision: bool = False, graphed: bool = False,
    ) -> None:
        self.config, self.train_set, self.val_set, self.mixed_precision = config, train_set, val_set, mixed_precision
        self.device = choose_device(device)
        if ratios is not None:
            labels.check_ratios(ratios)
        self.ratios = None if ratios is None else ratios.to(self.device)
        with seeded(config.seed):
            self.model = CMPAE(config, train_set.spec).to(self.device)
        self.optimizer = adam(self.model.parameters(), config.learning_rate, self.device, graphed)
        self.static_step = StaticStep(self.model, self.optimizer, self.device, mixed_precision) if graphed else None
        self.train_loader, self.val_loader = Loader(train_set, self.device), Loader(val_set, self.device)
        self.thresholds = Thresholds.of(config, train_set.categories)
        self.start_thresholds = self.thresholds
        self.epoch, self.history = 0, []
        self.best_epoch, self.best = 0, {}
        self.data = {"name": train_set.name, "checksum": train_set.checksum(), "simulated": train_set.simulated}
        ratio_list = None if ratios is None else ratios.tolist()
        self.key = json.loads(json.dumps({"config": config.to_dict(), "data": self.data, "ratios": ratio_list}))

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Trains for one epoch and returns its row of the history."""
        started = time.perf_counter()
        set_learning_rate(self.optimizer, self.config, epoch)
        with seeded(self.config.seed + SEED_STRIDE * epoch):
            row = self.train_batches(epoch)
        return self.after_epoch(epoch, row, started)

    def after_epoch(self, epoch: int, row: dict[str, float], started: float) -> dict[str, float]:
        """Scores val, keeps the weights where they are the best so far, and chooses thresholds; completes the epoch's row."""
        config, reference = self.config, self.val_set.reference
        predicted = predict(self.model, self.val_set, mixed_precision=self.mixed_precision, loader=self.val_loader)
        thresholds = self.start_thresholds
        if config.task == "localization":
            thresholds = decode.choose_answer_threshold(predicted, reference, thresholds)
        scores = score(config, decode.decode(predicted, thresholds), reference)
        row = {"epoch": epoch, "learning_rate": learning_rate(config, epoch), **row}
        row |= {"mean": metrics.mean_score(scores), **flat(scores), "seconds": time.perf_counter() - started}
        row["chosen_by"] = metrics.pick_score(scores, config.select_epoch_by)
        if all(row["chosen_by"] >= earlier["chosen_by"] for earlier in self.history):
            self.best_epoch, self.best = epoch, {n: v.detach().clone() for n, v in self.model.state_dict().items()}
            if config.task == "localization":
                self.thresholds = thresholds
        self.history.append(row)
        if epoch == max(1, round(config.threshold_epoch * config.epochs)):
            for modality in config.search_thresholds:
                self.thresholds = decode.choose_video_thresholds(
                    predicted, reference, self.thresholds, modality, config.threshold_candidates
                )
        self.epoch = epoch
        return row

    def train_batches(self, epoch: int) -> dict[str, float]:
        """One pass over the training set; the mean of each named loss over its videos."""
        self.model.train()
        batches = shuffled(len(self.train_set), self.config.batch_size)
        sums: dict[str, Tensor] = {}
        for number, (features, weak_label) in enumerate(self.train_loader.batches(batches)):
            for name, value in self.train_batch(features, weak_label, epoch, number, len(batches)).items():
                sums[name] = sums.get(name, 0) + value * len(weak_label)
        return mean_losses(sums, len(self.train_set), epoch)

    def train_batch(
        self, features: dict[str, Tensor], weak_label: Tensor, epoch: int, batch: int, batches: int
    ) -> dict[str, Tensor]:
        """One Adam step; the named losses and their weighted sum "loss"."""
        if self.static_step is not None:
            now = None if self.ratios is None else self.ratios * labels.warm_up(epoch, batch, batches, self.config)
            return self.static_step(features, weak_label, now, teacher_of(batch), epoch)
        with autocast(self.device, self.mixed_precision):
            named, _ = training_step(self.model, features, weak_label, self.ratios, epoch, batch, batches)
            loss = losses.total(named, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {name: value.detach() for name, value in {"loss": loss, **named}.items()}

    def state(self) -> TrainingState:
        names = dict(enumerate(n for n, _ in self.model.named_parameters()))
        moments = self.optimizer.state_dict()["state"]
        optimizer = {f"{names[i]}/{part}": value for i, parts in moments.items() for part, value in parts.items()}
        return TrainingState(
            self.epoch, self.model.state_dict(), optimizer, self.best, self.best_epoch, self.history, self.thresholds.to_dict(), self.key
        )

    def restore(self, state: TrainingState) -> None:
        self.model.load_state_dict(state.model)
        numbers = {n: i for i, (n, _) in enumerate(self.model.named_parameters())}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.optimizer.items():
            parameter, _, part = name.rpartition("/")
            moments.setdefault(numbers[parameter], {})[part] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.epoch, self.history, self.best_epoch, self.best = state.epoch, state.history, state.best_epoch, state.best
        self.thresholds = Thresholds.from_dict(state.thresholds, self.train_set.categories)

    def finish(self) -> Run:
        self.model.load_state_dict(self.best)
        return Run(self.model.eval(), pd.DataFrame(self.history), self.thresholds, self.best_epoch, self.data)



def mean_losses(sums: dict[str, Tensor], count: int, epoch: int) -> dict[str, float]:
    """Sums over videos -> means. Raises InputError when training has diverged."""
    row = {name: float(value) / count for name, value in sums.items()}
    if not np.isfinite(row["loss"]):
        raise InputError(f"the loss is {row['loss']} in epoch {epoch}: check the features' scale, or lower the learning rate.")
    return row


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generators seeded inside and as they were outside."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield

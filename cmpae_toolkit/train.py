"""Training in one call: `fit`, and the noise ratios that training labels need; `predict` and `evaluate` stand beside it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import data, decode, labels, losses, metrics
from ._files import flat, home, read_json, write_json
from .batches import Loader, autocast, choose_device, take
from .checkpoint import CONFIG, STATE, Run, TrainingState, check_same_data, load_run, shipped_run
from .config import NOISE_ESTIMATOR, Config, config_for
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .inference import evaluate, mix, predict, score
from .method import Features
from .model import CMPAE

__all__ = [
    "check_trainable", "choose_device", "estimate_noise_ratios", "evaluate", "fit", "mix", "predict", "score", "take", "training_step",
]


def fit(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, ratios: Tensor | None = None, device: str | None = None,
    folder: str | Path | None = None, resume: bool = False, mixed_precision: bool = False, graphed: bool = False,
    progress: bool = True,
) -> Run:
    """Trains on weak labels; the epoch, and thresholds where the config asks for it, are chosen on `val_set`.

    `ratios`: noise ratios (modality, category), estimated first when the config denoises and none are given. With a
    `folder` the state is saved each epoch, and `resume=True` goes on from it: on CPU to the same weights as without the
    interruption. `mixed_precision`: bfloat16 where it is safe. `graphed`: on a GPU, each step is replayed from a CUDA graph
    (`graphs.StaticStep`). Raises InputError when the sets lack labels or do not fit together.
    """
    check_trainable(train_set, val_set)
    if config.denoise and ratios is None:
        ratios = estimate_noise_ratios(config, train_set, val_set, device=device, progress=progress)
    training = Training(config, train_set, val_set, ratios if config.denoise else None, device, mixed_precision, graphed)
    state_file = None if folder is None else Path(folder) / STATE
    if state_file is not None and resume and state_file.is_file():
        training.restore(TrainingState.load(state_file, training.key))
    with tqdm(range(training.epoch + 1, config.epochs + 1), desc="training", disable=not progress) as epochs:
        for epoch in epochs:
            row = training.run_epoch(epoch)
            epochs.set_postfix(loss=f"{row['loss']:.3f}", val=f"{row['mean']:.1f}")
            if state_file is not None:
                training.state().save(state_file)
    return training.finish()


def estimator_config(config: Config) -> Config:
    """The config of the network that estimates the noise ratios for runs of `config`: JoMoLD's, in their size and schedule."""
    shared = ("width", "batch_size", "learning_rate", "decay", "decay_epochs", "seed", "audio_noise_threshold", "visual_noise_threshold")
    kept = {name: getattr(config, name) for name in shared}
    return Config(**NOISE_ESTIMATOR).changed(epochs=config.estimator_epochs, **kept)


def estimate_noise_ratios(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, device: str | None = None, progress: bool = True, cache: bool = True
) -> Tensor:
    """JoMoLD's noise ratios (modality, category): trains its estimator, then compares p with its mean. float64, in 0..1.

    Kept under `CMPAE_HOME` per data set, seed and estimator, so that every preset of one grid uses the same ratios.
    """
    estimator = estimator_config(config)
    key = repr((estimator, train_set.checksum(), val_set.checksum()))
    file = home() / "noise_ratios" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if cache and file.is_file():
        return torch.tensor(read_json(file)["ratios"], dtype=torch.float64)
    if progress:
        tqdm.write(f"estimating the noise ratios of {train_set.title} once (JoMoLD's first stage)")
    run = fit(estimator, train_set, val_set, device=device, progress=progress)
    probability = predict(run.model, train_set).video.probability
    ratios = labels.noise_ratios(probability, torch.as_tensor(train_set.weak_labels), estimator)
    if cache:
        write_json(file, {"data": train_set.title, "categories": train_set.categories, "ratios": ratios.tolist()})
    return ratios


def check_trainable(train_set: VideoSet, val_set: VideoSet) -> None:
    """Raises InputError unless the one has weak labels, the other a reference, and both the same form."""
    if train_set.weak_labels is None or not len(train_set):
        raise InputError(f"{train_set.title} has no weak labels to train on.")
    if val_set.reference is None or not len(val_set):
        raise InputError(f"{val_set.title} has no dense annotations to choose the epoch by.")
    check_same_data(train_set.spec, val_set.spec, val_set.title)


def trained_run(data_name: str, preset: str | None = None) -> Run:
    """A run to look at: the shipped one where it fits, one trained earlier by this call, else one trained now and kept.

    The notebooks call this, so that every data set and preset that the environment names works. Kept under `CMPAE_HOME`.
    """
    config = config_for(data_name, preset)
    if data.simulated_size(data_name) == "small" and config == config_for("small", "paper"):
        return shipped_run()
    train_set, val_set = (data.load(data_name, split) for split in ("train", "val"))
    key = hashlib.sha256(repr((config, train_set.checksum(), val_set.checksum())).encode()).hexdigest()[:16]
    folder = data.home() / "runs" / key
    if (folder / CONFIG).is_file():
        return load_run(folder)
    run = fit(config, train_set, val_set)
    run.save(folder)
    return run


def training_step(
    model: CMPAE, features: Features, weak_label: Tensor, ratios: Tensor | None, epoch: int, batch: int, batches: int
) -> tuple[dict[str, Tensor], Tensor]:
    """The named losses of one batch and the training labels they were taken with; the caller steps the optimiser.

    `ratios` (modality, category): noise ratios, or None to keep all labels. `epoch` counts from 1, `batch` from 0; even
    batches let the joint branch teach, odd ones the modalities (Eq. 10).
    """
    now = None if ratios is None else ratios * labels.warm_up(epoch, batch, batches, model.config)
    return scheduled_step(model, features, weak_label, now, teacher_of(batch), epoch)


def teacher_of(batch: int) -> str:
    """Who teaches in a batch (Eq. 10): the joint branch in even ones, the modalities in odd ones."""
    return "joint" if batch % 2 == 0 else "modality"


def scheduled_step(
    model: CMPAE, features: Features, weak_label: Tensor, ratios: Tensor | None, teacher: str, epoch: int
) -> tuple[dict[str, Tensor], Tensor]:
    """`training_step` with the batch's noise ratios and teacher already chosen."""
    config = model.config
    embedded = model.embed(features)
    projected = model.hybrid_attention.project(embedded)  # the same in all passes over the batch
    training_labels = labels.training_labels(weak_label, config)
    if ratios is not None:
        with torch.no_grad():  # dropout stays on, as in JoMoLD
            alone = model.judge_video(embedded, cross_attention=False, projected=projected)
            risks = losses.evidence_risk(alone, training_labels, "log")
        training_labels = labels.remove_noisy_labels(training_labels, risks, ratios)
    evidence = model.judge(embedded, projected=projected)
    return losses.training_losses(evidence, training_labels, weak_label, config, teacher, epoch), training_labels


def shuffled(count: int, batch_size: int) -> list[np.ndarray]:
    """The positions 0 .. count - 1 in a random order of torch's generator, in batches."""
    return np.array_split(torch.randperm(count).numpy(), range(batch_size, count, batch_size))


def learning_rate(config: Config, epoch: int) -> float:
    """The step decay: a factor `decay` every `decay_epochs` epochs, which count from 1."""
    return config.learning_rate * config.decay ** ((epoch - 1) // config.decay_epochs)


def set_learning_rate(optimizer: torch.optim.Adam, config: Config, epoch: int) -> None:
    """The epoch's rate; in place where a recorded graph reads it."""
    rate = learning_rate(config, epoch)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def adam(parameters: Iterable[Tensor], rate: float, device: torch.device, graphed: bool = False) -> torch.optim.Adam:
    """Adam, all of its arithmetic in one kernel where PyTorch has one; `graphed`: in a form that a CUDA graph can record."""
    on_gpu = device.type == "cuda"
    if graphed:  # a graph reads the rate from a tensor, which CUDA's kernel takes in float32
        rate = torch.tensor(rate, device=device, dtype=torch.float32 if on_gpu else torch.float64)
    return torch.optim.Adam(parameters, lr=rate, fused=on_gpu or device.type == "cpu", capturable=graphed and on_gpu)


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
        from ._accelerate import StaticStep

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

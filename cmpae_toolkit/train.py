"""Training, prediction and evaluation: `fit`, `predict`, `evaluate`, and the noise ratios that training labels need."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import decode, labels, losses, metrics
from .config import NOISE_ESTIMATOR, Config
from .data.home import home
from .data.videoset import VideoSet
from .decode import Thresholds
from .errors import InputError
from .model import CMPAE, Evidence, Features
from .opinion import PointEstimate
from .runs import STATE, Run, TrainingState, check_same_data, flat, read_json, write_json

PREDICTION_BATCH = 256
SEED_STRIDE = 100_003  # a prime between the seeds of runs, so that no two runs share an epoch's seed


def choose_device(name: str | None = None) -> torch.device:
    """The named device, or the best there is: CUDA, MPS, CPU. Raises InputError when the named one is not there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {name!r} cannot be used here ({str(error).splitlines()[0]}): try 'cpu'.") from None
    return torch.device(name)


def training_step(
    model: CMPAE, features: Features, weak_label: Tensor, ratios: Tensor | None, epoch: int, batch: int, batches: int
) -> tuple[dict[str, Tensor], Tensor]:
    """The named losses of one batch and the training labels they were taken with; the caller steps the optimiser.

    `ratios` (modality, category): noise ratios, or None to keep all labels. `epoch` counts from 1, `batch` from 0; even
    batches let the joint branch teach, odd ones the modalities (Eq. 10).
    """
    config = model.config
    embedded = model.embed(features)
    projected = model.hybrid_attention.project(embedded)  # the same in all passes over the batch
    training_labels = labels.training_labels(weak_label, config)
    if ratios is not None:
        with torch.no_grad():  # dropout stays on, as in JoMoLD
            alone = model.judge_video(embedded, cross_attention=False, projected=projected)
            risks = losses.evidence_risk(alone, training_labels, "log")
        now = ratios * labels.warm_up(epoch, batch, batches, config)
        training_labels = labels.remove_noisy_labels(training_labels, risks, now)
    teacher = "joint" if batch % 2 == 0 else "modality"
    evidence = model.judge(embedded, projected=projected)
    return losses.training_losses(evidence, training_labels, weak_label, config, teacher, epoch), training_labels


def fit(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, ratios: Tensor | None = None, device: str | None = None,
    folder: str | Path | None = None, resume: bool = False, mixed_precision: bool = False, progress: bool = True,
) -> Run:
    """Trains on weak labels; the epoch, and thresholds where the config asks for it, are chosen on `val_set`.

    `ratios`: noise ratios (modality, category), estimated first when the config denoises and none are given. With a
    `folder` the state is saved each epoch, and `resume=True` goes on from it: on CPU to the same weights as without the
    interruption. Raises InputError when the sets lack labels or do not fit together.
    """
    check_trainable(train_set, val_set)
    if config.denoise and ratios is None:
        ratios = estimate_noise_ratios(config, train_set, val_set, device=device, progress=progress)
    training = _Training(config, train_set, val_set, ratios if config.denoise else None, device, mixed_precision)
    state_file = None if folder is None else Path(folder) / STATE
    if state_file is not None and resume and state_file.is_file():
        training.restore(TrainingState.load(state_file, training.key))
    with _bar(range(training.epoch + 1, config.epochs + 1), "training", progress) as epochs:
        for epoch in epochs:
            row = training.run_epoch(epoch)
            epochs.set_postfix(loss=f"{row['loss']:.3f}", val=f"{row['mean']:.1f}")
            if state_file is not None:
                training.state().save(state_file)
    return training.finish()


class _Training:
    """The loop's state. Randomness is seeded per epoch, so that stopping between epochs changes nothing."""

    def __init__(
        self, config: Config, train_set: VideoSet, val_set: VideoSet, ratios: Tensor | None, device: str | None, mixed_precision: bool
    ) -> None:
        self.config, self.train_set, self.val_set, self.mixed_precision = config, train_set, val_set, mixed_precision
        self.device = choose_device(device)
        self.ratios = None if ratios is None else ratios.to(self.device)
        with seeded(config.seed):
            self.model = CMPAE(config, train_set.spec).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)
        self.thresholds = Thresholds.of(config, train_set.categories)
        self.start_thresholds = self.thresholds
        self.epoch, self.history = 0, []
        self.best_epoch, self.best = 0, {}
        self.data = {"name": train_set.name, "checksum": train_set.checksum(), "simulated": train_set.simulated}
        ratio_list = None if ratios is None else ratios.tolist()
        self.key = json.loads(json.dumps({"config": config.to_dict(), "data": self.data, "ratios": ratio_list}))

    def run_epoch(self, epoch: int) -> dict[str, float]:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * config.decay ** ((epoch - 1) // config.decay_epochs)
        started = time.perf_counter()
        with seeded(config.seed + SEED_STRIDE * epoch):
            row = self.train_batches(epoch)
        predicted = predict(self.model, self.val_set, mixed_precision=self.mixed_precision)
        thresholds = self.start_thresholds
        if config.task == "localization":
            thresholds = decode.choose_answer_threshold(predicted, self.val_set.reference, thresholds)
        scores = score(config, decode.decode(predicted, thresholds), self.val_set.reference)
        row = {"epoch": epoch, "learning_rate": self.optimizer.param_groups[0]["lr"], **row}
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
                    predicted, self.val_set.reference, self.thresholds, modality, config.threshold_candidates
                )
        self.epoch = epoch
        return row

    def train_batches(self, epoch: int) -> dict[str, float]:
        self.model.train()
        order = torch.randperm(len(self.train_set)).numpy()
        batches = np.array_split(order, range(self.config.batch_size, len(order), self.config.batch_size))
        sums: dict[str, Tensor] = {}
        for number, index in enumerate(batches):
            features, weak_label = take(self.train_set, index, self.device)
            with autocast(self.device, self.mixed_precision):
                named, _ = training_step(self.model, features, weak_label, self.ratios, epoch, number, len(batches))
                loss = losses.total(named, self.config)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            for name, value in {"loss": loss, **named}.items():
                sums[name] = sums.get(name, 0) + value.detach() * len(index)
        row = {name: float(value) / len(order) for name, value in sums.items()}
        if not np.isfinite(row["loss"]):
            raise InputError(f"the loss is {row['loss']} in epoch {epoch}: check the features' scale, or lower the learning rate.")
        return row

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


def predict(
    model: CMPAE, video_set: VideoSet, *, cross_attention: bool | None = None, mixed_precision: bool = False, progress: bool = False
) -> Evidence:
    """The model's evidence for every video, on the CPU.

    By default as the preset infers: with cross-attention, mixed with the probabilities without it where
    `inference_self_share` says so (the mixture is a point estimate). True or False asks for one pass of that kind.
    """
    check_same_data(model.spec, video_set.spec, video_set.title)
    if not len(video_set):
        raise InputError(f"{video_set.title} holds no video to predict.")
    share = model.config.inference_self_share if cross_attention is None else 0.0
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    with torch.inference_mode(), autocast(device, mixed_precision), _bar(_batches(len(video_set)), "predicting", progress) as bar:
        for index in bar:
            embedded = model.embed(take(video_set, index, device)[0])
            evidence = mix(*model.judge_both(embedded), share) if share else model.judge(embedded, cross_attention is not False)
            parts.append(evidence.apply(lambda x: x.float().cpu()))
    model.train(was_training)
    return Evidence.concatenate(parts)


def mix(cross: Evidence, alone: Evidence, share: float) -> Evidence:
    """Probabilities and vacuities (1 - share) * with cross-attention + share * without, as the released code infers."""
    mixed = {}
    for name in ("snippet", "video", "joint"):
        a, b = getattr(cross, name), getattr(alone, name)
        vacuity = None if a.vacuity is None else (1 - share) * a.vacuity + share * b.vacuity
        mixed[name] = PointEstimate((1 - share) * a.probability + share * b.probability, vacuity)
    return Evidence(**mixed, attention=cross.attention, features=cross.features)


def evaluate(run: Run, video_set: VideoSet) -> dict[str, dict[str, float]]:
    """The ten F-scores of a run in percent, as `metrics.f_scores`; for AVE's task also "accuracy".

    Raises InputError when the set has no reference.
    """
    if video_set.reference is None:
        raise InputError(f"{video_set.title} has no dense annotations to evaluate against: use val or test.")
    return score(run.config, decode.decode(predict(run.model, video_set), run.thresholds), video_set.reference)


def score(config: Config, estimate: np.ndarray, reference: np.ndarray) -> dict:
    """The scores of the config's task: `metrics.f_scores`, and for localization the accuracy over all snippets."""
    scores: dict = metrics.f_scores(estimate, reference)
    if config.task == "localization":
        scores["accuracy"] = metrics.ave_accuracy(metrics.answers(estimate), metrics.answers(reference))
    return scores


def estimate_noise_ratios(
    config: Config, train_set: VideoSet, val_set: VideoSet, *, device: str | None = None, progress: bool = True, cache: bool = True
) -> Tensor:
    """JoMoLD's noise ratios (modality, category): trains its estimator, then compares p with its mean. float64, in 0..1.

    Kept under `CMPAE_HOME` per data set, seed and estimator, so that every preset of one grid uses the same ratios.
    """
    shared = ("width", "batch_size", "learning_rate", "decay", "decay_epochs", "seed", "audio_noise_threshold", "visual_noise_threshold")
    kept = {name: getattr(config, name) for name in shared}
    estimator = Config(**NOISE_ESTIMATOR).changed(epochs=config.estimator_epochs, **kept)
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


def take(video_set: VideoSet, index: np.ndarray, device: torch.device) -> tuple[dict[str, Tensor], Tensor | None]:
    """The chosen videos as float32 tensors on the device: features by stream, and weak labels."""
    features = {n: torch.from_numpy(np.ascontiguousarray(x[index])).to(device).float() for n, x in video_set.features.items()}
    weak = video_set.weak_labels
    return features, None if weak is None else torch.from_numpy(weak[index]).to(device, torch.float32)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generators seeded inside and as they were outside."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def autocast(device: torch.device, enabled: bool) -> contextlib.AbstractContextManager:
    """bfloat16 where it is safe, when asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def _batches(count: int) -> list[np.ndarray]:
    return np.array_split(np.arange(count), range(PREDICTION_BATCH, count, PREDICTION_BATCH))


def _bar(items, text: str, show: bool) -> tqdm:
    return tqdm(items, desc=text, disable=not show, leave=True)


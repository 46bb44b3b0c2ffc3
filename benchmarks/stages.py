"""Each stage of the toolkit's work, timed at 1, 2 and 4 times its usual size on random numbers of LLP's shapes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks import floors
from benchmarks.twin import PlainTwin
from cmpae_toolkit import _products, data, decode, metrics
from cmpae_toolkit.batches import precision_of
from cmpae_toolkit.config import DataSpec, JoMoLDConfig, StreamSpec, presets
from cmpae_toolkit.data.videoset import VideoSet
from cmpae_toolkit.inference import predict
from cmpae_toolkit.method import Evidence, Moment, Supervision
from cmpae_toolkit.methods import METHODS, get
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.opinion import PointEstimate
from cmpae_toolkit.train import Training, fit

SNIPPETS, CATEGORIES = 10, 25
SHAPES = {"audio": (SNIPPETS, 128), "frames": (8 * SNIPPETS, 2048), "clip": (SNIPPETS, 512)}
STREAMS = {"audio": StreamSpec(128, 1, "audio"), "frames": StreamSpec(2048, 8, "visual"), "clip": StreamSpec(512, 1, "visual")}
SPEC = DataSpec(tuple(f"category_{i}" for i in range(CATEGORIES)), SNIPPETS, STREAMS)
TRAIN, VAL, TEST = 10_000, 649, 1_200  # videos of LLP's splits
STEPS, WARM_UP = 6, 2
FEW = 32  # videos in a step of each method
REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One measurement: `seconds` of the whole stage, extrapolated from a part of it or not, what it could not be below, and what the
    plain twin takes, where it has one."""

    stage: str
    size: str
    seconds: float
    floor: float
    extrapolated: bool = False
    note: str = ""
    plain: float = 0.0


def videos(
    count: int, folder: str | None = None, seed: int = 0, *, snippets: int = SNIPPETS, categories: int = CATEGORIES,
    streams: Mapping[str, tuple[int, int]] | None = None,
) -> VideoSet:
    """Random half-precision features and rolls of LLP's shapes; with a folder, features are memory-mapped from there.

    `streams`: name -> positions in a snippet and width, where they are not LLP's.
    """
    rng = np.random.default_rng(seed)
    features = {}
    given = {name: (stream.per_snippet, stream.width) for name, stream in STREAMS.items()} if streams is None else streams
    for name, (per_snippet, width) in given.items():
        shape = (snippets * per_snippet, width)
        array = np.empty((count, *shape), np.float16)
        if folder is not None:
            array = np.lib.format.open_memmap(Path(folder) / f"{name}.npy", "w+", np.float16, (count, *shape))
        for i in range(0, count, 64):
            part = array[i : i + 64]
            part[:] = np.maximum(rng.standard_normal(part.shape, dtype=np.float32), 0)
        features[name] = array
    modalities = {name: stream.modality for name, stream in STREAMS.items()}
    ids = tuple(f"{i:011d}" for i in range(count))
    names = tuple(f"category_{i}" for i in range(categories))
    weak = (rng.random((count, categories)) < 1.6 / categories).astype(np.float32)
    return VideoSet("random", "val", names, ids, features, modalities, weak, rolls(count, rng, snippets, categories), ids, True)


def rolls(count: int, rng: np.random.Generator, snippets: int = SNIPPETS, categories: int = CATEGORIES) -> np.ndarray:
    """About two categories a video and modality, each in two runs of any length."""
    first, second = np.sort(rng.integers(0, snippets + 1, (2, 2, count, 2, 1, categories)), axis=0)
    at = np.arange(snippets)[:, None]
    is_on = rng.random((count, 2, 1, categories)) < 2 / categories
    return ((at >= first[0]) & (at < second[0]) | (at >= first[1]) & (at < second[1])) & is_on


def noise(categories: int = CATEGORIES) -> Supervision:
    """Noise ratios of a tenth."""
    return Supervision(constants={"noise_ratios": torch.full((2, categories), 0.1, dtype=torch.float64)})


def import_(_: float) -> Iterator[Row]:
    """`import cmpae_toolkit`, and what training needs, beyond `import torch`; and help, with the interpreter's own start as its floor."""
    code = "import time, torch; t = time.perf_counter(); import cmpae_toolkit{}; print(time.perf_counter() - t)"
    for what in ("", ".train"):
        found = [float(subprocess.run([sys.executable, "-c", code.format(what)], capture_output=True, check=True).stdout) for _ in range(3)]
        yield Row(f"import cmpae_toolkit{what}", "", float(np.median(found)), 0.0, note="beyond import torch")
    took = {}
    for arguments in (("-c", ""), ("-m", "cmpae_toolkit.cli", "train", "--help")):
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            took.setdefault(arguments[-1], []).append(time.perf_counter() - started)
    yield Row("cmpae train --help", "", float(np.median(took["--help"])), float(np.median(took[""])))


def epoch(_: float) -> Iterator[Row]:
    """One training epoch of the preset `released` on 10,000 videos from a memory-mapped store, by a few of its steps."""
    config = presets["released"]
    with tempfile.TemporaryDirectory() as folder:
        for factor in (1, 2, 4):
            size = config.batch_size * factor
            store = videos(size * (STEPS + WARM_UP), folder)
            training = Training(config.changed(batch_size=size), store, videos(1), noise(), "cpu")
            training.model.train()
            batches = np.array_split(np.random.default_rng(1).permutation(len(store)), STEPS + WARM_UP)
            rate, times = _rate(config, size), []
            started = time.perf_counter()
            for number, batch in enumerate(training.train_loader.batches(batches)):
                training.step(batch, Moment(2, number, len(batches)))
                times.append(time.perf_counter() - started)
                started = time.perf_counter()
            rate = max(rate, _rate(config, size))
            per_video = float(np.median(times[WARM_UP:])) / size
            yield Row("epoch, preset released", f"batch x {factor}", per_video * TRAIN, floors.training(config, SPEC) * TRAIN / rate, True)


def step(_: float, clock: Callable[[], float] = time.perf_counter, batch_size: int = 128, repeats: int = 3) -> Iterator[Row]:
    """A training step of `released` and of `paper`, in turn with its plain twin; in bfloat16 where the processor has it."""
    train_set, val_set, moment = videos(batch_size), videos(1), Moment(2, 0, 4)
    for preset in ("released", "paper"):
        config = presets[preset].changed(batch_size=batch_size)
        precisions = ("float32", "bfloat16")[: 1 + (precision_of("auto", torch.device("cpu")) == "bfloat16")]
        calls, rates = {}, [_rate(config, batch_size, clock, repeats)]
        for precision in precisions:
            training = Training(config, train_set, val_set, noise(), "cpu", precision == "bfloat16")
            training.model.train()
            (batch,) = training.train_loader.batches([np.arange(batch_size)])
            calls[precision] = lambda t=training, b=batch: t.step(b, moment)
            if precision == "float32" and _products.is_there():
                calls["float32 without oneDNN"] = _without_onednn(calls[precision])
        twin = PlainTwin(get("cmpae")(config, train_set.spec).train())
        calls["plain"] = lambda twin=twin, b=batch: twin(b, moment)
        best = best_in_turn(calls, clock, repeats)
        rates.append(_rate(config, batch_size, clock, repeats))
        floor = floors.training(config, SPEC) * batch_size / max(rates)
        for precision in [name for name in calls if name != "plain"]:
            stage, size = f"training step, preset {preset}", f"{batch_size} videos"
            yield Row(stage, size, best[precision], floor, note=precision, plain=best["plain"])


def _without_onednn(call: Callable[[], object]) -> Callable[[], object]:
    def plain() -> object:
        with patch.object(_products, "is_there", lambda: False):
            return call()

    return plain


def prediction(_: float) -> Iterator[Row]:
    """`predict` of LLP's val split with the preset `released`, and of twice and four times as many videos."""
    config = presets["released"]
    model = CMPAE(config, SPEC)
    for factor in (1, 2, 4):
        video_set = videos(VAL * factor)
        rate = _rate(config, 128)
        seconds = _best(lambda video_set=video_set: predict(model, video_set), 3)
        floor = floors.prediction(config, SPEC) * len(video_set) / max(rate, _rate(config, 128))
        yield Row("predict a split", f"val x {factor}", seconds, floor)


def thresholds(copy: float) -> Iterator[Row]:
    """Choosing 25 thresholds among 10 candidates after the forward pass; also over more categories' worth of videos."""
    config = presets["released"]
    for factor in (1, 2, 4):
        count, rng = VAL * factor, np.random.default_rng(0)
        p = {"snippet": (count, 2, SNIPPETS, CATEGORIES), "video": (count, 2, CATEGORIES), "joint": (count, CATEGORIES)}
        evidence = Evidence(**{name: PointEstimate(torch.rand(shape)) for name, shape in p.items()})
        reference, start = rolls(count, rng), decode.Thresholds.of(config, SPEC.categories)
        call = (evidence, reference, start, "visual", config.threshold_candidates)
        moved = len(config.threshold_candidates) * count * CATEGORIES * SNIPPETS * (4 + 1)  # a probability read, a cell written
        yield Row("choose 25 thresholds", f"val x {factor}", _best(lambda call=call: decode.choose_video_thresholds(*call)), moved / copy)


def scoring(copy: float) -> Iterator[Row]:
    """All ten F-scores: more videos, and longer ones."""
    for factor, snippets in ((1, SNIPPETS), (2, SNIPPETS), (4, SNIPPETS), (1, 150), (1, 300), (1, 600)):
        count, rng = (TEST * factor, np.random.default_rng(0)) if snippets == SNIPPETS else (100, np.random.default_rng(0))
        estimate, reference = rolls(count, rng, snippets), rolls(count, rng, snippets)
        moved = 2 * 2 * count * 3 * snippets * CATEGORIES  # both rolls of three tracks, read at both levels
        size = f"test x {factor}" if snippets == SNIPPETS else f"100 videos of {snippets} snippets"
        seconds = _best(lambda estimate=estimate, reference=reference: metrics.f_scores(estimate, reference))
        yield Row("score both levels", size, seconds, moved / copy)


def packing(copy: float) -> Iterator[Row]:
    """A folder of single feature files into a packed store."""
    for factor in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            video_set = videos(100 * factor)
            source = video_set.to_folder(Path(folder) / "set")
            started = time.perf_counter()
            data.pack(source, "val", Path(folder) / "store", progress=False)
            seconds = time.perf_counter() - started
        moved = 2 * sum(x.nbytes for x in video_set.features.values())
        yield Row("pack", f"{100 * factor} videos", seconds, moved / copy)


def methods(_: float) -> Iterator[Row]:
    """A training step and a prediction of every method at its published size, on a few videos of LLP's shapes."""
    train_set, val_set = videos(FEW), videos(1)
    label = torch.from_numpy(train_set.reference).float()
    for name in METHODS:
        config = get(name).Config().changed(batch_size=len(train_set))
        targets = {"modality_label": label.amax(2)} if hasattr(config, "label_source") else {}
        targets |= {"snippet_label": label} if hasattr(config, "snippet_labels") else {}
        known = noise() if isinstance(config, JoMoLDConfig) else Supervision(targets, {"events": torch.ones(2)} if name == "uwav" else {})
        training = Training(config, train_set, val_set, known, "cpu")
        training.model.train()
        (batch,) = training.train_loader.batches([np.arange(len(train_set))])
        yield Row(f"training step, {name}", f"{FEW} videos", _best(lambda t=training, b=batch: t.step(b, Moment(2, 0, 4)), 1), 0.0)
        model = training.model.eval()
        yield Row(f"predict, {name}", f"{FEW} videos", _best(lambda m=model: predict(m, train_set), 1), 0.0)


def gpu(_: float) -> Iterator[Row]:
    """25 epochs on 10,000 videos with validation each epoch, threshold choice and test, on one GPU."""
    from cmpae_toolkit.inference import evaluate

    config = presets["released"].changed(epochs=25)
    train_set, val_set, test_set = videos(TRAIN), videos(VAL, seed=1), videos(TEST, seed=2)
    for mixed in (False, True):
        started = time.perf_counter()
        run = fit(config, train_set, val_set, supervision=noise(), device="cuda", mixed_precision=mixed, progress=False)
        evaluate(run, test_set)
        note = "bfloat16" if mixed else "float32"
        yield Row("25 epochs of LLP's size, one seed", "1 x", time.perf_counter() - started, 0.0, note=note)


STAGES = {
    "import": import_, "step": step, "epoch": epoch, "predict": prediction, "thresholds": thresholds, "score": scoring, "pack": packing,
    "methods": methods, "gpu": gpu,
}


def _rate(config, batch: int, clock: Callable[[], float] = time.perf_counter, repeats: int = REPEATS) -> float:
    """Multiply-adds a second: the faster of the two products that most of the time goes to."""
    sizes = ((batch * 2 * SNIPPETS, config.width), (8 * batch * SNIPPETS, 2048))
    return max(floors.matrix_rate(rows, inner, config.width, clock, repeats) for rows, inner in sizes)


def best_in_turn(calls: Mapping[str, Callable[[], object]], clock: Callable[[], float], repeats: int) -> dict[str, float]:
    """The least time of each call, taken in turn, so that whatever else the machine does meets all of them."""
    best = dict.fromkeys(calls, float("inf"))
    for number in range(repeats + 1):
        for name, call in calls.items():
            started = clock()
            call()
            if number:  # the first round warms up
                best[name] = min(best[name], clock() - started)
    return best


def _best(call, repeats: int = REPEATS) -> float:
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)

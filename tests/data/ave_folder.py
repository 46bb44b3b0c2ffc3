"""A tiny AVE in the published layout, and an LLP beside it, for the tests of their readers, downloads and the doctor."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from cmpae_toolkit.data.ave import AVE_CATEGORIES, clean_category

PUBLISHED_NAMES = {"Church_bell": "Church bell", "Violin_fiddle": "Violin, fiddle", "Rodents_rats_mice": "Rodents, rats, mice"}
ROWS = [  # category, id, onset, offset; the split follows
    ("Church bell", "aaaaaaaaaa0", 0, 10, "train"),
    ("Violin, fiddle", "aaaaaaaaaa1", 2, 5, "val"),
    ("Church bell", "aaaaaaaaaa2", 0, 0, "train"),
    ("Flute", "aaaaaaaaaa3", 9, 10, "test"),
    ("Ukulele", "aaaaaaaaaa3", 3, 7, "train"),
    ("Rodents, rats, mice", "aaaaaaaaaa5", 1, 2, "val"),
    ("Ukulele", "aaaaaaaaaa6", 4, 10, "train"),
    ("Flute", "aaaaaaaaaa6", 0, 3, "train"),
    ("Bark", "aaaaaaaaaa8", 5, 8, "test"),
]
ORDERS = {"train": [7, 0, 4, 2, 6], "val": [5, 1], "test": [3, 8]}
VISUAL, AUDIO = (10, 2, 2, 6), (10, 4)  # of the true (10, 7, 7, 512) and (10, 128)


def put(path: Path, values, key: str = "avadataset") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[key] = values
    return path


def features(row: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(row).normal(size=shape)


def write_ave(folder: Path, rows=ROWS, orders=ORDERS, with_features: bool = True, below: str = "") -> Path:
    """Write the lists and, in float64 as published, the features."""
    at = folder / below
    at.mkdir(parents=True, exist_ok=True)
    lines = [f"{category}&{video}&good&{onset}&{offset}\n" for category, video, onset, offset, *_ in rows]
    (at / "Annotations.txt").write_bytes("".join(lines).encode())
    for split, order in orders.items():
        put(at / f"{split}_order.h5", np.array(order, np.int64), "order")
    weak = np.zeros((len(rows), 29), np.float32)
    weak[range(len(rows)), [AVE_CATEGORIES.index(clean_category(row[0])) for row in rows]] = 1
    put(at / "mil_labels.h5", weak)
    if with_features:
        put(folder / "audio_feature.h5", np.stack([features(i, AUDIO) for i in range(len(rows))]))
        put(folder / "visual_feature.h5", np.stack([features(100 + i, VISUAL) for i in range(len(rows))]))
    return folder


def write_background(folder: Path, count: int = 3) -> Path:
    put(folder / "audio_feature_noisy.h5", np.stack([features(200 + i, AUDIO) for i in range(count)]))
    put(folder / "visual_feature_noisy.h5", np.stack([features(300 + i, VISUAL) for i in range(count)]))
    labels = np.zeros((count, 29))
    labels[:, -1] = 1
    put(folder / "labels_noisy.h5", labels)
    return folder


LLP_SHAPES = {"vggish": (10, 4), "res152": (20, 6), "r2plus1d_18": (10, 5)}
LLP_VIDEOS = {"train": ["bbbbbbbbbb0_0_10", "aaaaaaaaaa3_5_15"], "val": ["bbbbbbbbbb2_0_10"], "test": ["bbbbbbbbbb3_0_10"]}


def write_llp(folder: Path, videos=LLP_VIDEOS) -> Path:
    """The lists of a cut LLP, every video a dog that barks from 2 to 4."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "AVVP_train.csv"), ("val", "AVVP_val_pd.csv"), ("test", "AVVP_test_pd.csv")):
        (folder / name).write_text("filename\tevent_labels\n" + "".join(f"{video}\tDog\n" for video in videos[split]))
    dense = "".join(f"{video}\t2\t4\tDog\n" for video in videos["val"] + videos["test"])
    for modality in ("audio", "visual"):
        (folder / f"AVVP_eval_{modality}.csv").write_text("filename\tonset\toffset\tevent_labels\n" + dense)
    return folder


def write_feats(folder: Path, ids) -> Path:
    for number, video in enumerate(ids):
        for stream, shape in LLP_SHAPES.items():
            path = folder / "feats" / stream / f"{video}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, features(number, shape).astype(np.float32))
    return folder

"""What the authors' public code for LLP calls the parameters of CMPAE and of the methods in this folder; see `released`."""

import re
from typing import Any

from ..config import MODALITIES
from .valor import PLUS

Table = list[tuple[str, str | None]]
STREAMS = {"audio": {"fc_a": "audio"}, "visual": {"fc_v": "frames", "fc_st": "clip"}}  # their layers of a modality -> our streams

UNUSED = re.compile(r"fc_global\.|hat_encoder\.(norm[12]|final_norm_[av])\.|(audio|visual|cmt)_encoder\.")


def _layer(theirs: str, ours: str) -> Table:
    """A hybrid attention layer, or a transformer layer, of PyTorch's making."""
    return [
        (rf"{theirs}\.self_attn", f"{ours}.self_attention"),
        (rf"{theirs}\.cm_attn", f"{ours}.cross_attention"),
        *((rf"{theirs}\.{part}", f"{ours}.{part}") for part in ("linear1", "linear2", "norm1", "norm2")),
    ]


def _query_layer(theirs: str, ours: str) -> Table:
    """A layer of MM-Pyramid and LEAP."""
    linears = [(rf"{theirs}\.self_attn\.linears\.{i}", f"{ours}.attention.{n}") for i, n in enumerate(("query", "key", "value", "output"))]
    norms = [(rf"{theirs}\.sublayer\.{i}\.norm", f"{ours}.norm{i + 1}") for i in range(2)]
    return [*linears, *norms, *((rf"{theirs}\.feed_forward\.w_{i}", f"{ours}.linear{i}") for i in (1, 2))]


def _floors(m: str) -> Table:
    """MM-Pyramid's blocks of one modality."""
    side, unit = rf"hybrid_attention.units.\1.sides.{m}", r"MMP\.capture\.msa\.(\d)\."
    network = rf"MMP\.capture\.{m[0]}network\.(\d)\."
    return [
        *_query_layer(rf"{unit}{m[0]}sablock\.layer", f"{side}.layer"),
        (rf"{unit}l{m[0]}1", f"{side}.own_gate"),
        (rf"{unit}l{m[0]}2", f"{side}.other_gate"),
        (rf"{network}(?:net\.0|conv1)", f"{side}.conv1"),  # a checkpoint holds the same tensors under both names
        (rf"{network}(?:net\.2|conv2)", f"{side}.conv2"),
        *_query_layer(rf"MMP\.fusion\.{m[0]}adaptiveinteraction", f"hybrid_attention.fusion.{m}.layer"),
        (rf"MMP\.fusion\.{m[0]}selectfusion", f"hybrid_attention.fusion.{m}.select"),
    ]


def _uni_modal(net: str, ours: str, m: str) -> Table:
    """A network of one modality, whose authors keep its state by itself: here behind "audio_net.", "video_net." or "visual_net."."""
    return [
        *((rf"{net}\.{theirs}", f"{ours}.embedding.layers.{stream}") for theirs, stream in STREAMS[m].items()),
        (rf"{net}\.fc_fusion", f"{ours}.embedding.fusion"),
        (rf"{net}\.cls_tokens_{m[0]}", f"{ours}.tokens"),
        (rf"{net}\.hat_encoder\.(?:layers\.0\.cm_attn|norm[12]).*", None),
        *_layer(rf"{net}\.hat_encoder\.layers\.0", f"{ours}.layer"),
        *_layer(rf"{net}\.audio_encoder\.layers\.(\d)", rf"{ours}.layers.\1"),
        (rf"{net}\.fc_prob", f"{ours}.classifier"),
        (rf"{net}\.fc_frame_att", f"{ours}.temporal_attention.layer"),
    ]


EMBEDDING = [
    *((rf"{t}(\.0)?", f"embedding.{m}.layers.{s}") for m, layers in STREAMS.items() for t, s in layers.items()),
    (r"fc_fusion(\.0)?", "embedding.visual.fusion"),  # the released CMPAE code has an index on layers inside a Sequential
    (rf"(?:{UNUSED.pattern}).*", None),
]
POOLING = [(r"fc_frame_att(?:\.layers\.0)?", "temporal_attention.layer"), (r"fc_av_att(?:\.layers\.0)?", "modality_attention")]
ONE_LAYER = [*EMBEDDING, *_layer(r"hat_encoder\.layers\.0", "hybrid_attention"), *POOLING]
STACK = [*_layer(r"hat_encoder\.layers\.(\d+)", r"hybrid_attention.\1"), *POOLING, (r"fc_prob", "classifier")]
HAN = [*ONE_LAYER, (r"fc_prob", "classifier")]
CMPAE = [
    *ONE_LAYER,
    (r"fc_prob", "collector.presence"),
    (r"fc_prob_beta", "collector.absence"),
    (r"v2a\.0", "collector.selectors.audio"),
    (r"a2v\.0", "collector.selectors.visual"),
    (r"classifier1\.0", "joint_branch.layer"),
    (r"classifier2", "joint_branch.head"),
]
PYRAMID = [
    *EMBEDDING, *_floors("audio"), *_floors("visual"),
    *_query_layer(r"MMP\.capture\.msa\.(\d)\.cmablock\.layer", r"hybrid_attention.units.\1.cross"),
    (r"(?:MMP\.capture|MMP\.fusion|AVL)\.(?:multiheadattn|feedforward)\..*|.*\.self_attn\.layer_norm", None),
]
CVCMS = [
    *ONE_LAYER,
    *((rf"fc_occ_class_{m[0]}", f"classifier.split.{m}") for m in MODALITIES),
    *((rf"fc_occ_prob_{m[0]}", f"classifier.score.{m}") for m in MODALITIES),
    *_layer(r"av_class_encoder\.layers\.0", "classifier.layer"),
    (r"fc_prob|fc_occ_.*|(?:frame_att|modality)_encoder.*|av_class_encoder\.norm[12]", None),
]
DHHN = [
    *HAN,
    *((rf"conv_x{i}\.(\d)\.blocks\.0\.0", rf"scales.{m}.\1.conv") for i, m in enumerate(MODALITIES, 1)),
    *((rf"conv_x{i}\.(\d)\.blocks\.0\.1", rf"scales.{m}.\1.norm") for i, m in enumerate(MODALITIES, 1)),
    *_uni_modal("audio_net", "teachers.audio", "audio"), *_uni_modal("video_net", "teachers.visual", "visual"),
]
LEAP = [
    *PYRAMID,
    (r"label_vectors", "label_vectors"),  # the code reads them from a file of its own; to be given under our name
    (r"fc_l", "label_projection"),
    *(row for m in MODALITIES for row in _query_layer(rf"AVL\.l{m[0]}_cma_network\.(\d)", rf"decoders.{m}.layers.\1")),
    *((rf"fc_l{m[0]}", f"decoders.{m}.score") for m in MODALITIES),
]
UWAV = [
    *STACK,
    (r"fc_a\.layers\.([01])", r"embedding.audio.layers.\1"),
    (r"fc_fusion\.layers\.0", "embedding.visual.layers.0"),
    (r"hat_encoder\.final_norm_[av]", None),
]
COLEAF = [
    *CMPAE, (r"hat_encoder\.layers\.0\.cls_tokens_[av]", None),
    *_uni_modal("audio_net", "references.audio", "audio"), *_uni_modal("visual_net", "references.visual", "visual"),
]
# their names -> ours, one table a method; None: their code never uses it
LLP_NAMES: dict[str, Table] = {
    "released": CMPAE, "jomold": HAN, "han": HAN, "ma": [*HAN, (r"t_att2?\..*|fc[12]", None)],
    "mm_pyramid": [*PYRAMID, *POOLING, (r"fc_prob", "classifier")], "cvcms": CVCMS, "dhhn": DHHN, "leap": LEAP, "uwav": UWAV,
    "valor": [*EMBEDDING, *STACK], "valor_plus": [*EMBEDDING, *STACK], "valor_plus_plus": [*EMBEDDING, *STACK], "coleaf": COLEAF,
}
# the method, and the fields in which its released code is not its default config
LLP_READINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "ma": ("ma", {"joint_label": "audio"}), "mm_pyramid": ("mm_pyramid", {"swap_streams": True}), "cvcms": ("cvcms", {}),
    "dhhn": ("dhhn", {"joint_label": "audio"}), "leap": ("leap", {"similarity": "product"}), "uwav": ("uwav", {"balance": "sum"}),
    "valor": ("valor", {}), "valor_plus": ("valor", PLUS), "valor_plus_plus": ("valor", PLUS), "coleaf": ("coleaf", {}),
}
# our layer with an output for each category, where it is not "classifier"
LLP_HEADS = {"released": "collector.presence", "coleaf": "collector.presence", "cvcms": "modality_attention"}
FRAMES = {"valor_plus_plus": 1}  # visual positions a snippet, where they are not 8
# what a state may lack, which then stays as it was drawn: of no use after training, or not kept with the authors' parameters
OPTIONAL = re.compile(r"(teachers|references)\.|.*num_batches_tracked|label_vectors")

"""What the authors' public code for LLP calls the parameters of the methods here, one table a method; see `released`.

A parameter without our name ("") is one that their code never uses.
"""

import re

EMBEDDING = [
    (r"fc_a(\.0)?", "embedding.audio.layers.audio"),  # the released CMPAE code has an index on layers inside a Sequential
    (r"fc_v(\.0)?", "embedding.visual.layers.frames"),
    (r"fc_st(\.0)?", "embedding.visual.layers.clip"),
    (r"fc_fusion(\.0)?", "embedding.visual.fusion"),
]
HYBRID = [
    (r"hat_encoder\.layers\.0\.self_attn", "hybrid_attention.self_attention"),
    (r"hat_encoder\.layers\.0\.cm_attn", "hybrid_attention.cross_attention"),
    (r"hat_encoder\.layers\.0\.(linear[12]|norm[12])", r"hybrid_attention.\1"),
]
POOLING = [(r"fc_frame_att", "temporal_attention.layer"), (r"fc_av_att", "modality_attention")]
HAN = [*EMBEDDING, *HYBRID, *POOLING, (r"fc_prob", "classifier")]
CMPAE = [
    *EMBEDDING, *HYBRID, *POOLING,
    (r"fc_prob", "collector.presence"),
    (r"fc_prob_beta", "collector.absence"),
    (r"v2a\.0", "collector.selectors.audio"),
    (r"a2v\.0", "collector.selectors.visual"),
    (r"classifier1\.0", "joint_branch.layer"),
    (r"classifier2", "joint_branch.head"),
]


def _query_layer(theirs: str, ours: str) -> list[tuple[str, str]]:
    """A transformer layer of MM-Pyramid and LEAP."""
    linears = [(rf"{theirs}\.self_attn\.linears\.{i}", f"{ours}.attention.{n}") for i, n in enumerate(("query", "key", "value", "output"))]
    norms = [(rf"{theirs}\.sublayer\.{i}\.norm", f"{ours}.norm{i + 1}") for i in range(2)]
    return [*linears, *norms, *((rf"{theirs}\.feed_forward\.w_{i}", f"{ours}.linear{i}") for i in (1, 2))]


def _pyramid(m: str) -> list[tuple[str, str]]:
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


PYRAMID = [
    *EMBEDDING, *_pyramid("audio"), *_pyramid("visual"),
    *_query_layer(r"MMP\.capture\.msa\.(\d)\.cmablock\.layer", r"hybrid_attention.units.\1.cross"),
]
STACK = [
    (r"hat_encoder\.layers\.(\d+)\.self_attn", r"hybrid_attention.\1.self_attention"),
    (r"hat_encoder\.layers\.(\d+)\.cm_attn", r"hybrid_attention.\1.cross_attention"),
    (r"hat_encoder\.layers\.(\d+)\.(linear[12]|norm[12])", r"hybrid_attention.\1.\2"),
]
VALOR_NAMES = [*EMBEDDING, *STACK, *POOLING, (r"fc_prob", "classifier")]


def _teacher(net: str, teacher: str, streams: tuple[str, ...]) -> list[tuple[str, str]]:
    """A teacher of DHHN, whose authors keep each network's state by itself: here behind "audio_net." or "video_net."."""
    keys = {"audio": "fc_a", "frames": "fc_v", "clip": "fc_st"}
    return [
        *((rf"{net}\.{keys[s]}", f"{teacher}.embedding.layers.{s}") for s in streams),
        (rf"{net}\.fc_fusion", f"{teacher}.embedding.fusion"),
        (rf"{net}\.audio_encoder\.layers\.(\d)\.self_attn", rf"{teacher}.layers.\1.self_attention"),
        (rf"{net}\.audio_encoder\.layers\.(\d)\.(linear[12]|norm[12])", rf"{teacher}.layers.\1.\2"),
        (rf"{net}\.fc_prob", f"{teacher}.classifier"),
        (rf"{net}\.fc_frame_att", f"{teacher}.temporal_attention.layer"),
    ]


def _reference(m: str, streams: tuple[str, ...]) -> list[tuple[str, str]]:
    """A reference network of CoLeaF, here behind "audio_net." or "visual_net."."""
    keys, net, reference = {"audio": "fc_a", "frames": "fc_v", "clip": "fc_st"}, rf"{m}_net\.", f"references.{m}"
    return [
        (rf"{net}cls_tokens_{m[0]}", f"{reference}.tokens"),
        *((f"{net}{keys[s]}", f"{reference}.embedding.layers.{s}") for s in streams),
        (rf"{net}fc_fusion", f"{reference}.embedding.fusion"),
        (rf"{net}hat_encoder\.layers\.0\.self_attn", f"{reference}.layer.self_attention"),
        (rf"{net}hat_encoder\.layers\.0\.(linear[12]|norm[12])", rf"{reference}.layer.\1"),
        (rf"{net}hat_encoder\..*", ""),
        (rf"{net}fc_prob", f"{reference}.classifier"),
        (rf"{net}fc_frame_att", f"{reference}.temporal_attention.layer"),
    ]


AVVP_NAMES: dict[str, list[tuple[str, str]]] = {
    "released": CMPAE, "jomold": HAN, "han": HAN, "ma": HAN,
    "valor": VALOR_NAMES, "valor_plus": VALOR_NAMES, "valor_plus_plus": VALOR_NAMES,
    "cvcms": [
        *EMBEDDING, *HYBRID, *POOLING,
        (r"fc_occ_class_a", "classifier.split.audio"),
        (r"fc_occ_class_v", "classifier.split.visual"),
        (r"av_class_encoder\.layers\.0\.self_attn", "classifier.layer.self_attention"),
        (r"av_class_encoder\.layers\.0\.cm_attn", "classifier.layer.cross_attention"),
        (r"av_class_encoder\.layers\.0\.(linear[12]|norm[12])", r"classifier.layer.\1"),
        (r"fc_occ_prob_a", "classifier.score.audio"),
        (r"fc_occ_prob_v", "classifier.score.visual"),
        (r"fc_prob|fc_occ_.*|(?:frame_att|modality)_encoder.*|av_class_encoder\.norm[12]", ""),
    ],
    "dhhn": [
        *HAN,
        (r"conv_x1\.(\d)\.blocks\.0\.0", r"scales.audio.\1.conv"),
        (r"conv_x1\.(\d)\.blocks\.0\.1", r"scales.audio.\1.norm"),
        (r"conv_x2\.(\d)\.blocks\.0\.0", r"scales.visual.\1.conv"),
        (r"conv_x2\.(\d)\.blocks\.0\.1", r"scales.visual.\1.norm"),
        *_teacher("audio_net", "teachers.audio", ("audio",)),
        *_teacher("video_net", "teachers.visual", ("frames", "clip")),
    ],
    "leap": [
        *PYRAMID,
        (r"label_vectors", "label_vectors"),  # the code reads them from a file of its own; given here under our name
        (r"fc_l", "label_projection"),
        *_query_layer(r"AVL\.la_cma_network\.(\d)", r"decoders.audio.layers.\1"),
        *_query_layer(r"AVL\.lv_cma_network\.(\d)", r"decoders.visual.layers.\1"),
        (r"fc_la", "decoders.audio.score"),
        (r"fc_lv", "decoders.visual.score"),
    ],
    "uwav": [
        *STACK,
        (r"fc_a\.layers\.0", "embedding.audio.layers.0"),
        (r"fc_a\.layers\.1", "embedding.audio.layers.1"),
        (r"fc_fusion\.layers\.0", "embedding.visual.layers.0"),
        (r"fc_frame_att\.layers\.0", "temporal_attention.layer"),
        (r"fc_av_att\.layers\.0", "modality_attention"),
        (r"fc_prob", "classifier"),
    ],
    "coleaf": [
        *CMPAE, *_reference("audio", ("audio",)), *_reference("visual", ("frames", "clip")), (r"hat_encoder\.layers\.0\.cls_tokens_.", ""),
    ],
    "mm_pyramid": [*PYRAMID, *POOLING, (r"fc_prob", "classifier")],
}
# our name of a layer that has an output for each category, where it is not "classifier"
HEADS = {"released": "collector.presence", "coleaf": "collector.presence", "cvcms": "modality_attention"}
CLIP_WIDTH = 512  # of LLP's R(2+1)D features
FRAMES = {"valor_plus_plus": 1}  # visual positions a snippet, where they are not LLP's 8
UNUSED = re.compile(
    r"fc_global\.|hat_encoder\.(norm[12]|final_norm_[av])\.|(audio|visual|cmt)_encoder\.|t_att2?\.|fc[12]\."
    r"|(MMP\.capture|MMP\.fusion|AVL)\.(multiheadattn|feedforward)\.|.*\.self_attn\.layer_norm\."
)
# what a state may lack, which then stays as it was drawn: of no use after training, or not kept with the authors' parameters
OPTIONAL = re.compile(r"(teachers|references)\.|.*num_batches_tracked|label_vectors")

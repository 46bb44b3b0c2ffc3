"""What the authors' public code for AVE calls the parameters of `methods/avel.py`, `psp.py`, `cmran.py` and `cmbs.py`; see `released`."""

GUIDED = [  # AVEL's attention over positions
    (r"(?:attention\.)?affine_audio", "attention.audio"),
    (r"(?:attention\.)?affine_video", "attention.visual"),
    (r"(?:attention\.)?affine_g", "attention.from_audio"),
    (r"(?:attention\.)?affine_v", "attention.from_visual"),
    (r"(?:attention\.)?affine_h", "attention.weigh"),
    (r"(?:lstm_a_v\.)?lstm_audio", "lstms.0"),
    (r"(?:lstm_a_v\.)?lstm_video", "lstms.1"),
    (r"L1", "hidden"),
    (r"L2", "classifier"),
]
PSP = [
    *GUIDED,
    (r"linear_v", "narrow"),
    (r"psp\.v_L1", "propagation.passed.1"),
    (r"psp\.v_L2", "propagation.compared.1"),
    (r"psp\.a_L1", "propagation.compared.0"),
    (r"psp\.a_L2", "propagation.passed.0"),
    (r"psp\.layer_norm", "propagation.norm"),
    (r"W3", "temporal_weight"),
    (r"temperature|W1|W2", None),
]
TRANSFORMERS = [  # CMRAN's and CMBS's map attention and encoders; their unused prototypes of layers have no name here
    (r"v_fc", "embedding"),
    (r"spatial_channel_att\.affine_audio_1", "attention.audio"),
    (r"spatial_channel_att\.affine_video_1", "attention.visual"),
    (r"spatial_channel_att\.affine_bottleneck", "attention.narrow"),
    (r"spatial_channel_att\.affine_v_c_att", "attention.channels"),
    (r"spatial_channel_att\.affine_audio_2", "attention.positions.query"),
    (r"spatial_channel_att\.affine_video_2", "attention.positions.visual"),
    (r"spatial_channel_att\.affine_v_s_att", "attention.positions.weigh"),
    *(
        row for m, modality in enumerate(("audio", "video")) for row in (
            (rf"{modality}_encoder\.affine_matrix", f"encoder.embedding.{m}"),
            (rf"{modality}_encoder\.encoder\.layers\.(\d)\.self_attn", rf"encoder.encoders.{m}.\1.attention"),
            (rf"{modality}_encoder\.encoder\.layers\.(\d)\.(linear[12]|norm[12])", rf"encoder.encoders.{m}.\1.\2"),
            (rf"{modality}_decoder\.affine_matrix", f"encoder.query_embedding.{m}"),
            (rf"{modality}_decoder\.decoder\.layers\.0\.multihead_attn", f"encoder.queries.{m}.attention"),
            (rf"{modality}_decoder\.decoder\.layers\.0\.(linear[12]|norm[12])", rf"encoder.queries.{m}.\1"),
            (rf"{modality}_encoder\.encoder_layer\..*|{modality}_decoder\.(decoder_layer|decoder\.layers\.0\.self_attn)\..*", None),
        )
    ),
]
CMRAN = [
    *TRANSFORMERS,
    (r"AVInter\.video_multihead", "interaction.attention"),
    (r"AVInter\.norm1", "interaction.norm"),
    (r"localize_module\.classifier", "relevance"),
    (r"localize_module\.event_classifier", "category"),
    (r"spatial_channel_att\.affine_video_guided_[12]", None),
]
CMBS = [
    *TRANSFORMERS,
    (r"spatial_channel_att\.video_(query|key|value)", r"self_attention.\1"),
    (r"spatial_channel_att\.norm", "self_attention.norm"),
    (r"spatial_channel_att\.affine_video_ave", "own_attention.query"),
    (r"spatial_channel_att\.affine_video_3", "own_attention.visual"),
    (r"spatial_channel_att\.ave_v_att", "own_attention.weigh"),
    (r"video_gated\.0", "gates.0"),  # named after the modality whose features it gates first; it reads the audio encoder
    (r"audio_gated\.0", "gates.1"),
    (r"audio_cas", "own_classifiers.0"),
    (r"video_cas", "own_classifiers.1"),
    (r"AVInter\.video_multihead", "visual_interaction.attention"),
    (r"AVInter\.norm1", "visual_interaction.norm"),
    (r"VAInter\.video_multihead", "audio_interaction.attention"),
    (r"VAInter\.norm1", "audio_interaction.norm"),
    (r"CAS_model\.classifier\.0", "classifier"),
    (r"spatial_channel_att\.ave_bottleneck|classifier", None),
]
# their names -> ours, one table a method; None: their code never uses it
AVE_NAMES: dict[str, list[tuple[str, str | None]]] = {"avel": GUIDED, "psp": PSP, "cmran": CMRAN, "cmbs": CMBS}
# our layers that tell the sizes of AVE's methods: an output for each answer, sound in, the map in
AVE_SIZES = {
    "avel": ("classifier", "attention.audio", "attention.visual"), "psp": ("classifier", "attention.audio", "attention.visual"),
    "cmran": ("category", "attention.audio", "embedding"), "cmbs": ("classifier", "attention.audio", "embedding"),
}

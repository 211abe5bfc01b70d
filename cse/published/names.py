"""What the published networks call the weights of ours."""

from __future__ import annotations

import re

_STACK = r"backbone\.repeats\.(\d+)\.(intra|inter)\."
_PLACES = (
    (r"filterbank\.analysis\.", "encoder.conv1d."),
    (r"filterbank\.synthesis\.", "decoder."),
    (r"backbone\.entry\.0\.", "masknet.norm."),
    (r"backbone\.entry\.1\.", "masknet.conv1d."),
    (r"backbone\.split_talkers\.0\.", "masknet.prelu."),
    (r"backbone\.split_talkers\.1\.", "masknet.conv2d."),
    (r"backbone\.content\.0\.", "masknet.output.0."),
    (r"backbone\.gate\.0\.", "masknet.output_gate.0."),
    (r"backbone\.exit\.", "masknet.end_conv1x1."),
    (r"backbone\.fusions\.(\d+)\.(intra|inter)\.", r"masknet.dual_mdl.\1.\2_context_mapper."),
    (r"backbone\.repeats\.(\d+)\.(intra|inter)_norm\.", r"masknet.dual_mdl.\1.\2_norm."),
    (_STACK + r"norm\.", r"masknet.dual_mdl.\1.\2_mdl.mdl.norm.norm."),
    (_STACK + r"layers\.", r"masknet.dual_mdl.\1.\2_mdl.mdl.layers."),
    (r"speaker_cue\.projection\.", "se_embedding."),
    (r"selector\.scores\.", "context_selector."),
)
_LAYER = {
    "attention_norm.": "norm1.norm.",
    "query_key_value.": "self_att.att.in_proj_",
    "attention_output.": "self_att.att.out_proj.",
    "feed_forward_norm.": "norm2.norm.",
    "expand.": "pos_ffn.ffn.0.",
    "contract.": "pos_ffn.ffn.3.",
}


def published_name(name: str) -> str:
    """Translate the name of one of our weights.

    Raises:
        KeyError: The published networks have no such weight.

    >>> published_name("backbone.fusions.1.intra.weight")
    'masknet.dual_mdl.1.intra_context_mapper.weight'
    >>> published_name("backbone.repeats.0.inter.layers.7.query_key_value.bias")
    'masknet.dual_mdl.0.inter_mdl.mdl.layers.7.self_att.att.in_proj_bias'
    """
    for ours, published in _PLACES:
        if match := re.match(ours, name):
            rest = name[match.end() :]
            if published.endswith("layers."):
                number, part, parameter = rest.split(".")
                rest = f"{number}.{_LAYER[part + '.']}{parameter}"
            return match.expand(published) + rest
    raise KeyError(name)

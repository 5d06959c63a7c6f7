"""The headers that tell a caller what is left of its limits, by the names that OpenAI gave them.

Of several limits of one kind, the one with the least left is told, as it is the one that refuses
next. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .windows import Bound, Reading, seconds_left


def rate_limit_headers(bounds: Sequence[Bound], reading: Reading) -> Mapping[str, str]:
    """``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, of the limits that there are.

    What remains is as of the request's admission: of requests without this one, of tokens with
    those that it will use still in. A quota, which never resets, has names of its own.
    """
    is_admitted = reading.admits(bounds)
    scarcest: dict[str, tuple[int, Bound]] = {}
    for bound, used in zip(bounds, reading.used, strict=True):
        this = 1 if is_admitted and bound.unit.counts == "requests" else 0
        left = max(0, bound.limit - used - this)
        kind: str = bound.unit.counts if bound.unit.seconds else "token-quota"
        if kind not in scarcest or left < scarcest[kind][0]:
            scarcest[kind] = left, bound
    headers = {}
    for kind, (left, bound) in scarcest.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(bound.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(left)
        reset = seconds_left(bound.unit, now=reading.now)
        if reset is not None:
            headers[f"x-ratelimit-reset-{kind}"] = _duration(reset)
    return headers


def _duration(seconds: float) -> str:
    """As OpenAI writes it: ``1s``, ``6m0s``, ``23h59m1s``; rounded up, so that it is over then."""
    minutes, rest = divmod(max(1, math.ceil(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

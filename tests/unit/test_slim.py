"""What is kept of objects in memory."""

from __future__ import annotations

import json

from modelfleet.cluster.slim import with_shared_texts


def test_a_text_that_many_config_maps_have_is_kept_once() -> None:
    wire = json.dumps({"metadata": {"name": "a"}, "data": {"main.py": "print('hello')\n"}})
    one, other = (with_shared_texts(json.loads(wire)) for _ in range(2))
    assert one == json.loads(wire)
    assert one["data"]["main.py"] is other["data"]["main.py"]

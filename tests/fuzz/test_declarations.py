"""Whatever is declared: mistakes are told by field, and what has none is rendered and recorded.

10,000 declarations with mistakes and 2,000 without, in shares that run side by side, and a tenth
of that where not `make fuzz` asks for all. Each share draws its own, the same ones in every run.
``--hypothesis-seed`` draws others.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from spoiling import declarations, spoilt

from modelfleet.errors import Problem, SpecError
from modelfleet.plan import plan, spec_of
from modelfleet.render import Identity, objects_of, pod_template_hash, record_spec_of
from modelfleet.spec import ModelServiceSpec

SHARES: Final = 10
MISTAKEN: Final = 10_000
SOUND: Final = 2_000

IDENTITY: Final = Identity(owner="o/p/s", urn="urn", incarnation="1", cluster_uid="c")
OUR_OWN: Final = re.compile(r"Traceback|pydantic|<class |object at 0x|\bNone\b|Error\(|\n")
"""What only a bug of ours would put into a user's message."""

pytestmark = pytest.mark.timeout(1800)

RELAXED: Final = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],  # shrinking costs minutes, and the declarations are small
    "suppress_health_check": [HealthCheck.filter_too_much, HealthCheck.too_slow],
}


@pytest.mark.parametrize("share", range(SHARES))
def test_a_mistaken_declaration_gives_problems_of_its_fields_and_nothing_else(
    share: int, fuzz_part: int
) -> None:
    wanted, mistaken = MISTAKEN // SHARES // fuzz_part, 0

    @seed(share)
    @settings(max_examples=wanted, **RELAXED)
    @given(inputs=spoilt())
    def check(inputs: dict[str, Any]) -> None:
        nonlocal mistaken
        result = plan(inputs)
        assume(result.problems)
        mistaken += 1
        assert result.values == {}
        for problem in result.problems:
            assert isinstance(problem, Problem)
            assert problem.reason
            said = OUR_OWN.search(problem.reason)
            assert said is None, f"{problem} speaks of {said and said[0]!r}"
        with pytest.raises(SpecError) as raised:
            spec_of(inputs)
        assert raised.value.problems

    check()
    assert mistaken >= wanted


@pytest.mark.parametrize("share", range(SHARES))
def test_a_sound_declaration_is_rendered_alike_each_time_and_its_record_gives_it_back(
    share: int, fuzz_part: int
) -> None:
    @seed(share)
    @settings(max_examples=SOUND // SHARES // fuzz_part, **RELAXED)
    @given(inputs=declarations, keys=st.randoms(use_true_random=False))
    def check(inputs: dict[str, Any], keys: Any) -> None:
        planned = plan(inputs)
        assume(not planned.problems)
        spec = spec_of(planned.inputs)
        objects = objects_of(spec, identity=IDENTITY, hash_key=b"key")
        assert json.loads(json.dumps(objects)) == objects
        containers = objects[-1]["spec"]["template"]["spec"]["containers"]
        assert [each["name"] for each in containers].count("engine") == 1

        other = spec_of(_shuffled(planned.inputs, keys))
        assert json.dumps(objects_of(other, identity=IDENTITY, hash_key=b"key")) == json.dumps(
            objects
        )
        record = json.loads(json.dumps(record_spec_of(spec)))
        back = ModelServiceSpec.model_validate(record)
        assert record_spec_of(back) == record
        assert pod_template_hash(back) == pod_template_hash(spec)
        assert plan(record).problems == ()

    check()


def _shuffled(value: Any, keys: Any) -> Any:
    """Return ``value`` with the keys of its maps in another order, but for those that say one."""
    if not isinstance(value, dict):
        return value
    names = list(value)
    keys.shuffle(names)
    return {
        name: value[name] if name == "pod_overrides" else _shuffled(value[name], keys)
        for name in names
    }

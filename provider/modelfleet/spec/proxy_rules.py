"""All rules between the fields of a ModelProxy; each theme has a file of its own. Pure."""

from __future__ import annotations

from typing import Final

from modelfleet.spec.litellm_releases import RELEASE_RULES
from modelfleet.spec.proxy_fallback_rules import FALLBACK_RULES
from modelfleet.spec.proxy_guardrail_rules import GUARDRAIL_RULES
from modelfleet.spec.proxy_key_rules import KEY_RULES
from modelfleet.spec.proxy_limit_rules import LIMIT_RULES
from modelfleet.spec.proxy_route_rules import ROUTE_RULES
from modelfleet.spec.rule import Rule

PROXY_RULES: Final[tuple[Rule, ...]] = (
    *ROUTE_RULES,
    *FALLBACK_RULES,
    *LIMIT_RULES,
    *KEY_RULES,
    *GUARDRAIL_RULES,
    *RELEASE_RULES,
)

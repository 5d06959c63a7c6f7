"""AgentRun's control API and data endpoint, as AgentRun's own SDK speaks them.

``operations`` is the list; what the verbs mean is decided in ``modelfleet.agentrun``. Imports
nothing of ZStack's API.
"""

from modelfleet.adapters.query_api.agentrun_api.operations import FORMS, OPERATIONS

__all__ = ["FORMS", "OPERATIONS"]

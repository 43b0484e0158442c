"""Names of the events that drift is computed from: changes of the graph, and decisions about it.

The kinds and payload keys are the whole contract with those who write the events; nothing else of them is known here.
"""

from __future__ import annotations

REINFORCED = "edge.reinforced"
"""An edge was strengthened. Payload: ``delta`` (amount, 1 where missing), ``weight`` (afterwards)."""
ADDED = "edge.added"
"""An edge is new. Payload: ``weight``."""
WEAKENED = "edge.weakened"
"""An edge was weakened by a decision (not by decay). Payload: ``delta``, ``weight``."""
PRUNED = "edge.pruned"
"""An edge was removed."""
DECAY_SET = "decay.set"
"""The decay rate was set. Payload: ``lambda_per_s``."""
PROPOSED = "decision.proposed"
"""The analyst proposed something. Payload: ``tool``, ``confidence``."""
ABSTAINED = "decision.abstained"
"""The analyst had nothing to propose and said so."""
TOOL_CALLED = "tool.called"
"""A tool was carried out. Payload: ``tool``."""

STRENGTHENING = (REINFORCED, ADDED)
LESSENING = (WEAKENED, PRUNED)
MUTATIONS = (*STRENGTHENING, *LESSENING)
"""Kinds that change a target: the event's `entity`."""
DECISIONS = (PROPOSED, ABSTAINED)
ALL = (*MUTATIONS, *DECISIONS, DECAY_SET, TOOL_CALLED)

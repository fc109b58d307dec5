"""The identity of a run: a hash of what decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def identity_of(decisive: Mapping[str, Any], seed: int) -> str:
    """A hex SHA-256 of the decisive settings and the seed, independent of the order of keys.

    `decisive` holds what decides the result and nothing else: net, data (by content), loss, optimizer, schedule, batch
    size, budget, precision, clipping, and the source of a user's own classes.
    """
    text = json.dumps({"seed": seed, **decisive}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

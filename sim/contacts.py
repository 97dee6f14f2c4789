"""What touches: contacts as PyBullet's solver left them after the newest physics step."""

from __future__ import annotations

from collections.abc import Iterable

import pybullet

# Places of the bodies and of the normal force in what `getContactPoints` returns (PyBullet Quickstart Guide).
_OTHER_BODY, _FORCE = 2, 9


def bears(client: int, body: int, links: Iterable[int]) -> bool:
    """Tell whether something that is not the body presses against one of its links.

    Points that are merely near, within Bullet's margin of 0.02 m, carry no force and do not count.
    """
    return any(
        point[_OTHER_BODY] != body and point[_FORCE] > 0.0
        for link in links
        for point in pybullet.getContactPoints(bodyA=body, linkIndexA=link, physicsClientId=client)
    )

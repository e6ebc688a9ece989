"""Generated posts as the simulator is told to make them."""

import random
from typing import Any


def make_post(persona: int, dice: random.Random) -> dict[str, Any]:
    """A post with one item, which lives as long as the Webhooks guide says; images to videos 4 : 3."""
    media, low, high = ("image", 20, 90) if dice.random() < 4 / 7 else ("video", 60, 300)
    name = f"item-{dice.getrandbits(64):x}"
    done = {"status": "completed", "url": f"https://cdn.example/{name}"}
    return {
        "kind": "generated_post",
        "persona_id": f"persona-{persona}",
        "set": {"status": "generating"},
        "items": [{"id": name, "media_type": media, "status": "generating"}],
        "script": [
            {"after_s": dice.uniform(low, high), "set": {"status": "completed"}, "items": {name: done}}
        ],
    }

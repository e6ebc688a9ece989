"""What makes a bridge use the simulator in the place of the real upstreams."""


def demo_environment(url: str) -> dict[str, str]:
    """Return the variables for a simulator at an address.

    It accepts any key of the right form, so these are no secrets.
    """
    return {
        "REELMIRROR_API_KEY": "rm_" + "demo" * 8,
        "REELMIRROR_BASE_URL": f"{url}/reelmirror/api",
        "REELBOT_API_KEY": "rb_live_" + "demo" * 8,
        "REELBOT_BASE_URL": f"{url}/reelbot/api",
    }

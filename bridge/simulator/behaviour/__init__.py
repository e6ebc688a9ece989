"""How the emulated upstreams behave: switches, faults, durations and rate limits."""

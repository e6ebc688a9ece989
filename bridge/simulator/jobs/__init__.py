"""Jobs of the emulated upstreams and how they change over time."""

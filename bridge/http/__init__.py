"""HTTP to receivers and upstreams: guarded addresses, and responses bounded in size and time."""

"""How an upstream request is checked, answered and recorded."""

"""What a simulator holds while it runs."""

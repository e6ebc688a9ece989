"""An emulator of ReelMirror and ReelBot: the demo's upstream, and the upstream of the tests."""

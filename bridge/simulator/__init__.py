"""An emulator of ReelMirror and ReelBot: the demo's upstream and the tests' double."""

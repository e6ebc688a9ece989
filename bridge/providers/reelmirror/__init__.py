"""ReelMirror: images and videos generated for personas, and their publication."""

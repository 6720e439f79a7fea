"""Other services' APIs over the same calls: a thin file or folder each. See docs/compat.md."""

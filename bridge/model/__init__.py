"""Plain frozen values that the parts of the bridge hand each other."""

"""Hierarchical nested-lattice quantization: encode, decode, digits, look-up tables, tiling."""

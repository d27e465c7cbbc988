"""Lattices: generator, nearest point, constants. ``Zd(d)``, ``D4()``, ``E8()``."""

from .lattice import D4, E8, Lattice, Zd, lattice_of

__all__ = ["D4", "E8", "Lattice", "Zd", "lattice_of"]

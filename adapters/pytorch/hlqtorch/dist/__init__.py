"""Data-parallel training: the DDP hook (comm_hooks), start-up under any launcher (launcher)."""

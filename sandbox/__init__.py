"""Work on a stranger's file, in a process that may only use so much and has none of our environment."""

from sandbox.process import MIB, Bounds, out_of_time, restrict, run

__all__ = ["MIB", "Bounds", "out_of_time", "restrict", "run"]

"""Compare losses, optimizers and batch sizes for PyTorch models: many runs, trained fairly, seen side by side."""

__version__ = "0.2.0"

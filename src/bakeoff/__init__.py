"""Compare losses, optimizers and batch sizes for PyTorch models: many runs, trained fairly, seen side by side."""

__version__ = "0.1.0"

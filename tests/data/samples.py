"""Numbered samples, and files in MNIST's format."""

import struct

import torch


def numbered(n, width=1):
    """n samples; x and y hold the index of each."""
    index = torch.arange(n)
    return index[:, None].float().repeat(1, width), index


def order_of(batches):
    return torch.cat([y for _, y in batches]).tolist()


def idx(array, type_code=8):
    """The content of an IDX file."""
    return bytes([0, 0, type_code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

"""Feature file formats with one array per file: read the header, read and write."""

from sola.data.formats import csv, hdf5, npy, npz, pt
from sola.data.formats.base import Format

FORMATS = {
    ".npy": Format(npy.header, npy.read, npy.write, header_is_cheap=True),
    ".npz": Format(npz.header, npz.read, npz.write, header_is_cheap=True),
    ".pt": Format(pt.header, pt.read, pt.write, header_is_cheap=False),
    ".csv": Format(csv.header, csv.read, csv.write, header_is_cheap=False),
    ".h5": Format(hdf5.header, hdf5.read, hdf5.write, header_is_cheap=True),
}
"""Formats by file suffix."""

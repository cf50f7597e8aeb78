"""The published alignment kernel in plain loops, the reference for faster implementations."""

import math


def kernel(start, end, bins, length):
    """Return the kernel weights [bins][time] of one region."""
    extent = max(end - start, 1.0)
    points = math.ceil(extent / bins)
    weights = [[0.0] * length for _ in range(bins)]
    for b in range(bins):
        for p in range(points):
            t = start + b * (extent / bins) + (p + 0.5) * (extent / bins) / points
            if t < -1 or t > length:
                continue
            t = max(t, 0.0)
            low = int(t)
            if low >= length - 1:
                weights[b][length - 1] += 1 / points
            else:
                weights[b][low] += (1 - (t - low)) / points
                weights[b][low + 1] += (t - low) / points
    return weights

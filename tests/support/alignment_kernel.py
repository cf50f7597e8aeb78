"""The published alignment kernel in plain loops: the definition that fast paths are compared with."""

import math


def kernel(start, end, bins, length):
    """The weights [bin][time] of one region, as the kernel computes them."""
    extent = max(end - start, 1.0)
    points = math.ceil(extent / bins)
    out = [[0.0] * length for _ in range(bins)]
    for b in range(bins):
        for p in range(points):
            t = start + b * (extent / bins) + (p + 0.5) * (extent / bins) / points
            if t < -1 or t > length:
                continue
            t = max(t, 0.0)
            low = int(t)
            if low >= length - 1:
                out[b][length - 1] += 1 / points
            else:
                out[b][low] += (1 - (t - low)) / points
                out[b][low + 1] += (t - low) / points
    return out

"""ActionFormer: a pyramid of transformer blocks with local attention; each of its points says what it is in."""

"""BMN: Boundary-Matching Network (Lin et al., ICCV 2019)."""

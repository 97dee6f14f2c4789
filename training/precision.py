"""How matrices are multiplied: in float32, by the fastest way that this processor has for it."""

from __future__ import annotations

import torch

from training.config import SacConfig

# A product of random matrices of this size shows what a processor does; in bfloat16 its relative error is 2e-3, in float32 3e-7 (measured).
_SIZE = 256
_GOOD = 1e-4


def medium_error() -> float:
    """Return the relative error of a product at torch's precision "medium", against float64."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, _SIZE, _SIZE, generator=generator)
    exact = left.double() @ right.double()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        product = left @ right
    finally:
        torch.set_float32_matmul_precision(before)
    return float((product.double() - exact).norm() / exact.norm())


def is_float32(error: float) -> bool:
    """Tell whether a relative error of a product is that of float32."""
    return error <= _GOOD


def choose_products(config: SacConfig) -> None:
    """Set how torch multiplies in this process.

    MKL stays on AVX2 on AMD; "medium" routes to oneDNN, which keeps float32's accuracy there, and is 1.4 times as fast. On a processor with
    AMX it multiplies in bfloat16: only whoever asks for that, by `sac.precision`, gets it.
    """
    torch.set_float32_matmul_precision("medium" if config.precision == "bfloat16" or is_float32(medium_error()) else "highest")

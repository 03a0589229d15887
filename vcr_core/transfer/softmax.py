"""Softmax regression on frozen features, for many targets and strengths at once.

Problem p minimises over W_p (D, K_p) and b_p (K_p,)

    mean_i  cross-entropy(z_i @ W_p + b_p, y_ip)  +  l2_p / 2 · ‖W_p‖²

Weights of all problems lie in one tensor (P, D + 1, K), K = max K_p, the bias in the last row.
Columns beyond K_p have a bias of −∞ in the logits, so that they take no part.

Where W is zero, the Hessian is R / K_p + l2_p on every column (R the features' correlation
matrix, up to a constant shift of all classes): its inverse, through the eigenvectors of R, is the
preconditioner. Trained features are strongly correlated; without it the solver is slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Logits that are formed at a time, so that memory stays bounded however many images there are.
LOGITS_AT_A_TIME = 2**22
#: Rows per feature that the preconditioner's correlation matrix is measured on.
ROWS_PER_FEATURE = 10


@dataclass(frozen=True)
class Spectrum:
    """R = U diag(λ) Uᵀ of standardised features: ``values`` (D,), ``vectors`` (D, D)."""

    values: Tensor
    vectors: Tensor


def spectrum(z: Tensor) -> Spectrum:
    """Eigenvalues and eigenvectors of zᵀz / N for z (N, D), from 10 · D evenly spaced rows.

    In float64: the float32 solver may fail to converge where many eigenvalues are nearly 0.
    """
    rows = z[:: max(1, len(z) // (ROWS_PER_FEATURE * z.shape[1]))]
    correlation = rows.T @ rows / len(rows)
    if z.device.type == "mps":  # has neither float64 nor an eigendecomposition
        correlation = correlation.cpu()
    values, vectors = torch.linalg.eigh(correlation.double())
    return Spectrum(values.clamp_min(0).to(z), vectors.to(z))


@dataclass(frozen=True)
class _Regressions:
    """What both kinds of problems share: ``classes`` (P,) and ``l2`` (P,), on the device.

    ``width`` is K, the most classes of a problem.
    """

    z: Tensor
    labels: Tensor
    classes: Tensor
    l2: Tensor
    spectrum: Spectrum
    width: int

    def start(self) -> Tensor:
        """All weights zero, (P, D + 1, K)."""
        return self.z.new_zeros(len(self.classes), self.z.shape[-1] + 1, self.width)

    def precondition(self, gradient: Tensor, problems: Tensor) -> Tensor:
        """(R / K_p + l2_p)⁻¹ on the weights, K_p on the bias; gradients (Q, D + 1, K)."""
        classes, l2 = self.classes[problems, None, None], self.l2[problems, None, None]
        vectors, values = self.spectrum.vectors, self.spectrum.values[:, None]
        turned = torch.matmul(vectors.T, gradient[:, :-1]) / (values / classes + l2)
        return torch.cat([torch.matmul(vectors, turned), classes * gradient[:, -1:]], dim=1)

    def bias(self, weights: Tensor, problems: Tensor) -> Tensor:
        """Biases (Q, K), −∞ where a problem has no such class."""
        places = torch.arange(weights.shape[2], device=weights.device)
        absent = places >= self.classes[problems, None]
        return weights[:, -1].masked_fill(absent, -torch.inf)

    def penalised(
        self, losses: Tensor, gradient: Tensor, weights: Tensor, problems: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean losses (Q,) and their gradient (Q, D + 1, K), with the penalty added to both."""
        l2 = self.l2[problems]
        size = weights[:, :-1].square().sum(dim=(1, 2))
        gradient[:, :-1] += l2[:, None, None] * weights[:, :-1]
        return losses + l2 / 2 * size, gradient


class SharedRows(_Regressions):
    """Problems on the same features: z (N, D), ``labels`` (N, P)."""

    def value_and_gradient(self, weights: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Values (Q,) and gradients (Q, D + 1, K): two matrix products for all problems."""
        count, rows, width = weights.shape
        matrix = weights[:, :-1].permute(1, 0, 2).reshape(rows - 1, count * width)
        bias = self.bias(weights, problems).reshape(-1)
        gradient = torch.zeros_like(matrix)
        slope, losses = torch.zeros_like(bias), torch.zeros_like(weights[:, 0, 0])
        labels = self.labels[:, problems]
        part = max(64, LOGITS_AT_A_TIME // len(bias))
        for z, y in zip(torch.split(self.z, part), torch.split(labels, part), strict=True):
            logits = torch.addmm(bias, z, matrix).view(-1, count, width)
            losses += cross_entropy_(logits, y).sum(dim=0)
            residual = logits.view(-1, count * width)
            gradient.addmm_(z.T, residual)
            slope += residual.sum(dim=0)
        whole = torch.cat([gradient, slope[None]]).view(rows, count, width).permute(1, 0, 2)
        n = len(self.z)
        return self.penalised(losses / n, whole / n, weights, problems)


class OwnRows(_Regressions):
    """Problems on features of their own, equally many: z (P, n, D), ``labels`` (P, n)."""

    def value_and_gradient(self, weights: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Values (Q,) and gradients (Q, D + 1, K): two batched matrix products."""
        z, n = self.z[problems], self.z.shape[1]
        logits = torch.baddbmm(self.bias(weights, problems)[:, None], z, weights[:, :-1])
        losses = cross_entropy_(logits, self.labels[problems]).mean(dim=1)
        gradient = torch.cat([z.mT @ logits, logits.sum(dim=1, keepdim=True)], dim=1)
        return self.penalised(losses, gradient / n, weights, problems)


def cross_entropy_(logits: Tensor, labels: Tensor) -> Tensor:
    """Losses (…) of logits (…, K); the logits become softmax − one-hot, the losses' gradient."""
    places = labels.unsqueeze(-1)
    chosen = logits.gather(-1, places)
    highest = logits.amax(dim=-1, keepdim=True)
    total = logits.sub_(highest).exp_().sum(dim=-1, keepdim=True)
    logits.div_(total).scatter_add_(-1, places, torch.full_like(chosen, -1.0))
    return (total.log_() + highest - chosen).squeeze(-1)

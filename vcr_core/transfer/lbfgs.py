"""Many small convex problems minimised side by side, by preconditioned L-BFGS.

Every problem has a step length and a history of its own, so that its path does not depend on the
others; they share the arithmetic: one call of the objective serves all that are not yet solved.
To see which those are the host has to wait for an accelerator, so it looks at every eighth
evaluation only; what a problem does after it has been solved counts for nothing.
Source: Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5; the acceptance of a
step near the limit of the arithmetic follows Hager and Zhang (2005), "approximate Wolfe".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vcr_core.device_copies import send

HISTORY = 10
SUFFICIENT_DECREASE = 1e-4
SHORTER = 0.4
SHORTEST = 1e-8
#: Evaluations between two looks at an accelerator.
LOOK_EVERY = 8


class Objective(Protocol):
    """P problems over weights (P, R, K); ``problems`` (Q,) names those that are asked about."""

    def value_and_gradient(self, weights: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        """Values (Q,) and gradients (Q, R, K) at ``weights`` (Q, R, K)."""

    def precondition(self, gradient: Tensor, problems: Tensor) -> Tensor:
        """An approximate inverse Hessian applied to gradients (Q, R, K)."""


@dataclass(frozen=True)
class Solution:
    """Minimisers (P, R, K), and for each problem its evaluations (P,) and success (P,)."""

    weights: Tensor
    evaluations: Tensor
    converged: Tensor


@dataclass
class _Step:
    """One past step of every problem: s and y (Q, R, K), and 1 / sᵀy (Q, 1, 1) or 0 for none."""

    s: Tensor
    y: Tensor
    rho: Tensor

    def take(self, keep: Tensor) -> _Step:
        return _Step(self.s[keep], self.y[keep], self.rho[keep])


class _Search:
    """The problems that are not yet solved, all at their own place."""

    def __init__(self, objective: Objective, start: Tensor) -> None:
        self.objective = objective
        self.problems = torch.arange(len(start), device=start.device)
        self.weights = start
        self.value, self.gradient = objective.value_and_gradient(start, self.problems)
        self.length = start.new_ones(len(start), 1, 1)
        self.scale = start.new_ones(len(start), 1, 1)
        self.past: list[_Step] = []

    def advance(self) -> None:
        """Try one step in every problem and keep those that descend."""
        direction = self._direction()
        trial = self.weights + self.length * direction
        value, gradient = self.objective.value_and_gradient(trial, self.problems)
        accepted = self._accepts(direction, value, gradient)
        self._remember(trial, gradient, accepted)
        self.value = torch.where(accepted, value, self.value)
        accepted = accepted.view(-1, 1, 1)
        self.weights = torch.where(accepted, trial, self.weights)
        self.gradient = torch.where(accepted, gradient, self.gradient)
        self.length = torch.where(accepted, 1.0, self.length * SHORTER)

    def solved(self, tolerance: float) -> Tensor:
        """Where no entry of the gradient is larger than ``tolerance``, (Q,)."""
        return self.gradient.abs().amax(dim=(1, 2)) <= tolerance

    def stuck(self) -> Tensor:
        """Where no step descends any more, (Q,)."""
        return self.length.view(-1) < SHORTEST

    def keep(self, unsolved: Tensor) -> None:
        """Go on with some of the problems only."""
        for name in ("problems", "weights", "value", "gradient", "length", "scale"):
            setattr(self, name, getattr(self, name)[unsolved])
        self.past = [step.take(unsolved) for step in self.past]

    def _direction(self) -> Tensor:
        """−H · gradient by the two-loop recursion, H's first guess being the preconditioner."""
        q = self.gradient.clone()
        shares = []
        for step in reversed(self.past):
            share = step.rho * _dot(step.s, q)
            q -= share * step.y
            shares.append(share)
        d = self.scale * self.objective.precondition(q, self.problems)
        for step, share in zip(self.past, reversed(shares), strict=True):
            d += (share - step.rho * _dot(step.y, d)) * step.s
        return -d

    def _accepts(self, direction: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        """Armijo's condition, or the slope's where the change drowns in rounding; (Q,) bool."""
        slope = _dot(self.gradient, direction).view(-1)
        length = self.length.view(-1)
        descends = value <= self.value + SUFFICIENT_DECREASE * length * slope
        rounding = 8 * torch.finfo(direction.dtype).eps * self.value.abs()
        flat = _dot(gradient, direction).view(-1) <= 0.8 * slope.abs()
        return descends | ((value <= self.value + rounding) & flat)

    def _remember(self, trial: Tensor, gradient: Tensor, accepted: Tensor) -> None:
        s, y = trial - self.weights, gradient - self.gradient
        bend = _dot(s, y)
        useful = accepted.view(-1, 1, 1) & (bend > 0)
        step = _Step(s, y, torch.where(useful, 1 / bend, 0.0))
        self.past = [*self.past[-HISTORY + 1 :], step]
        size = _dot(y, self.objective.precondition(y, self.problems))
        self.scale = torch.where(useful & (size > 0), bend / size, self.scale)


def minimise(
    objective: Objective, start: Tensor, *, tolerance: float, max_evaluations: int
) -> Solution:
    """Minimise all problems from ``start`` (P, R, K).

    A problem is solved where no entry of its gradient is larger than ``tolerance``, and given up
    where no step descends any more or after ``max_evaluations``.
    """
    search = _Search(objective, start)
    found = Solution(
        start.clone(),
        torch.ones(len(start), dtype=torch.long, device=start.device),
        torch.zeros(len(start), dtype=torch.bool, device=start.device),
    )
    solve = _solve_here if start.is_cpu else _solve_there
    solve(search, found, tolerance=tolerance, max_evaluations=max_evaluations)
    return found


def _solve_here(
    search: _Search, found: Solution, *, tolerance: float, max_evaluations: int
) -> None:
    """Let every problem go as soon as it is solved."""
    for count in range(1, max_evaluations + 1):
        solved = search.solved(tolerance)
        over = solved | search.stuck() | (count == max_evaluations)
        if bool(over.any()):
            done = search.problems[over]
            found.weights[done] = search.weights[over]
            found.evaluations[done] = count
            found.converged[done] = solved[over]
            search.keep(~over)
        if not len(search.problems):
            return
        search.advance()


def _solve_there(
    search: _Search, found: Solution, *, tolerance: float, max_evaluations: int
) -> None:
    """Keep what a problem had when it was solved, and let it go at the next look."""
    done = torch.zeros_like(found.converged)  # of the problems that are still in the search
    for count in range(1, max_evaluations + 1):
        solved = search.solved(tolerance)
        over = ~done & (solved | search.stuck() | (count == max_evaluations))
        places = search.problems
        kept = found.weights[places]
        found.weights[places] = torch.where(over.view(-1, 1, 1), search.weights, kept)
        found.evaluations[places] = torch.where(over, count, found.evaluations[places])
        found.converged[places] = torch.where(over, solved, found.converged[places])
        done = done | over
        if count == max_evaluations:
            return
        if count % LOOK_EVERY == 0:
            left = (~done).cpu().nonzero().view(-1)
            if not len(left):
                return
            if len(left) < len(done):
                left = send(left, done.device)
                search.keep(left)
                done = done[left]
        search.advance()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of every problem's (R, K), shape (Q, 1, 1)."""
    return (a * b).sum(dim=(1, 2), keepdim=True)

"""Modules that use every operator that is read, one way or another."""

# mypy: disable-error-code="misc"

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Activations(nn.Module):
    """Functions of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.PReLU(4)

    def forward(self, x: Tensor) -> Tensor:
        """All side by side."""
        return torch.cat(
            [
                torch.relu(x),
                functional.elu(x, 0.7),
                functional.selu(x),
                functional.celu(x, 1.5),
                functional.leaky_relu(x, 0.2),
                self.slopes(x),
                functional.gelu(x),
                functional.gelu(x, approximate="tanh"),
                functional.silu(x),
                functional.mish(x),
                functional.softplus(3 * x, 2.0, 5.0),
                functional.softsign(x),
                functional.logsigmoid(x),
                functional.hardtanh(x, -0.5, 0.8),
                functional.hardsigmoid(x),
                functional.hardswish(x),
                functional.relu6(4 * x),
                torch.sigmoid(x),
                torch.tanh(x),
                torch.softmax(x, -1),
                torch.log_softmax(x, 1),
            ],
            -1,
        )


class Arithmetic(nn.Module):
    """Functions of one number and of two."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        """All side by side."""
        y, positive = self.other, torch.abs(x) + 0.1
        return torch.cat(
            [
                torch.add(x, y, alpha=2.0) - torch.sub(x, y, alpha=3.0),
                torch.rsub(x, 1.0, alpha=2.0) * (1 - x),
                x / positive + torch.div(x, 0.3, rounding_mode="floor"),
                torch.floor_divide(positive, 0.25),
                torch.remainder(x, 0.7),
                torch.multiply(torch.divide(x, 2.0), torch.subtract(x, 1.0)),
                x**2 + torch.pow(positive, 0.5) + torch.square(x),
                torch.exp(x) + torch.log(positive) + torch.log1p(positive),
                torch.sqrt(positive) + torch.rsqrt(positive) + torch.reciprocal(positive),
                torch.sin(x) + torch.cos(x) + torch.erf(x),
                torch.floor(x) + torch.ceil(x) + torch.round(x) + torch.sign(x) - (-x),
                torch.clamp(x, -0.5, 0.5) + torch.clip(x, max=0.2),
                torch.clamp_min(x, 0.1) + torch.clamp_max(x, 0.3),
                torch.maximum(x, y) + torch.minimum(x, y),
                torch.addcmul(x, x, y, value=0.5),
            ],
            1,
        )


class Comparisons(nn.Module):
    """Truths, choices, and types."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Real numbers, whole ones, and truths as real numbers."""
        low, high = x < -0.5, x > 0.5
        between = torch.logical_and(torch.logical_not(low), ~high)
        outside = torch.logical_or(low, high) | (x == 9.0)
        chosen = torch.where(between, x, torch.zeros_like(x))
        filled = chosen.masked_fill(x.le(0.0) & x.ge(-0.2), -1e8)
        counted = outside.to(torch.int64) + x.ne(1.0).long()
        return (
            filled,
            counted.sum(-1, keepdim=True),
            x.double().float().type_as(x) + between.float(),
        )


class Shapes(nn.Module):
    """What moves numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor([3, 1, 0]))
        self.table = nn.Parameter(torch.randn(4, 2))
        self.scale = nn.Parameter(torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        """All side by side; x is [B, 4]."""
        pairs = x.view(x.size(0), 2, 2)
        turned = pairs.transpose(1, 2).contiguous().reshape(-1, 4)
        back = pairs.permute(0, 2, 1).flatten(1).view_as(x)
        one, other = torch.split(x, 2, dim=1)
        first, second = torch.chunk(x, 2, dim=-1)
        column, last = torch.unbind(pairs, 1)
        three, rest = torch.split(x, [3, 1], dim=-1)
        stacked = torch.stack([one, other], dim=1).squeeze(-1)
        best = x.argmax(-1)
        picked = x.gather(1, best.unsqueeze(-1))
        widened = torch.concat([x[:, None, 1], x[:, -1].unsqueeze(1)], 1).detach().clone()
        return torch.cat(
            [
                turned,
                back,
                one * first + other * second,
                column - last,
                three[:, ::2] + rest.expand(-1, 2),
                stacked.flatten(1),
                x[:, self.places] + x.index_select(1, self.places),
                picked.repeat(1, 2) + widened,
                self.scale.expand_as(one) + self.scale.expand(x.size(0), 2),
                functional.embedding(best, self.table) @ self.table.t(),
                functional.one_hot(best, 4).float(),
                torch.select(pairs, 1, 1),
                x.new_zeros([x.size(0), 1]) + torch.ones(x.size(0), 1) + torch.tensor([0.5]),
            ],
            1,
        )


class Sums(nn.Module):
    """Sums, means, extremes, lengths."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Real numbers, and places."""
        highest, where = torch.max(x, 1, keepdim=True)
        lowest, _ = torch.min(x, dim=-1, keepdim=True)
        length = torch.linalg.vector_norm(x, 2.0, [1], True)
        ramp = torch.arange(4, dtype=torch.float32) + torch.full([4], 0.5)
        real = [
            x.mean(1, keepdim=True) + x.sum(-1, keepdim=True),
            x.amax(1, keepdim=True) - x.amin([1], keepdim=True) + highest - lowest,
            torch.std(x, 1, keepdim=True) + torch.var(x, 1, unbiased=False, keepdim=True),
            torch.cumsum(x, 1) + torch.full_like(x, 0.5) * ramp,
            functional.normalize(x, dim=1) / (length + torch.norm(x, 1, 1, True)),
        ]
        numbered = [where, x.argmin(1, keepdim=True), x.argmax(-1).unsqueeze(-1)]
        return {"real": torch.cat(real, 1), "numbered": torch.cat(numbered, 1)}


class Layers(nn.Module):
    """Dense layers and normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 4, bias=False)
        self.rows, self.batch = nn.LayerNorm(6), nn.BatchNorm1d(6)
        for each in (self.rows.weight, self.batch.weight, self.batch.running_var):
            nn.init.uniform_(each, 0.5, 2.0)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """One behind the other."""
        hidden = self.batch(self.rows(self.drop(functional.relu(self.first(x), inplace=True))))
        return torch.addmm(x, hidden, self.second.weight.t(), beta=0.5, alpha=2.0) + torch.bmm(
            x.unsqueeze(1), x.unsqueeze(2)
        ).squeeze(2)


class Image(nn.Module):
    """Convolutions and pools."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False),
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.AvgPool2d(2),
        )
        self.line = nn.Conv1d(4, 3, 2)
        self.dense = nn.Linear(16, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Everything of an image [B, 2, 8, 8]."""
        found = self.layers(image / 255.0)
        pooled = functional.adaptive_avg_pool2d(found, 1).flatten(1)
        line = self.line(found.flatten(2))
        line = functional.max_pool1d(line, 2) + functional.avg_pool1d(line, 2)
        return torch.cat([self.dense(found.flatten(1)), pooled, line.flatten(1)], 1)


class Code(nn.Module):
    """Code that TorchScript keeps: loops, lists, choices, calls."""

    scales: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.register_buffer("count", torch.tensor(2))
        self.scales = [0.5, 2.0]
        self.mode = "tanh"
        self.absent: Tensor | None = None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Each layer, some more than once, under names."""
        found: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            x = layer(x) if place > 0 or self.training else x + layer(x)
            found.append(torch.tanh(x) if self.mode == "tanh" else x)
        steps = 0
        while steps < int(self.count.item()):
            x = x * self.scales[steps]
            steps += 1
        if self.absent is not None:
            x = x + self.absent
        half = x.size(1) // 2
        low, high = self.halves(x, half)
        blank = torch.zeros(x.size(0), 1) + x.new_ones([1]) * x.new_full([1], 0.25)
        every = torch.all(x > -2.0, dim=1, keepdim=True) | torch.any(x > 5.0, dim=1, keepdim=True)
        return {"found": torch.cat(found, 1) + 0.0, "rest": torch.cat([low, high, blank, every], 1)}

    def halves(self, x: Tensor, half: int) -> tuple[Tensor, Tensor]:
        """Two parts."""
        low, high = x[:, :half], x[:, half:]
        return low, high


CASES: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "activations": (Activations, (4,), "sd"),
    "arithmetic": (Arithmetic, (4,), "sed"),
    "comparisons": (Comparisons, (4,), "sd"),
    "shapes": (Shapes, (4,), "sed"),
    "sums": (Sums, (4,), "sd"),
    "layers": (Layers, (4,), "sedtf"),
    "code": (Code, (4,), "s"),
    "image": (Image, (2, 8, 8), "sted1"),
}

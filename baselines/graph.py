"""Graph convolution over joints or frames: of the skeleton, of the nearest in a row, or found from the features.

Â = D^-1/2 A D^-1/2 (Kipf and Welling 2017) with A the adjacency, of ones and zeros, and D its row sums. A need not be
symmetric: then column j is scaled by the degree of row j all the same.
N is the number of graphs in a batch, L that of the nodes of one, C the channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Numbers of the adjacency matrices that a CPU makes at once: they stay in a cache from one pass over them to the next.
_LARGEST_ADJACENCY = 2**20


def normalise(adjacency: Tensor) -> Tensor:
    """Â of an adjacency (..., L, L) in which every row has a neighbour."""
    scale = adjacency.sum(dim=-1).rsqrt()  # (..., L)
    return scale.unsqueeze(-1) * adjacency * scale.unsqueeze(-2)


def most_similar(nodes: Tensor, neighbours: int) -> Tensor:
    """Adjacency (N, L, L) of nodes (N, L, C) whose inner product reaches each row's ``neighbours``-th largest.

    Of equal inner products all count, as between repeated frames: a row can have more neighbours than asked for. So the
    matrix is dense, and not a list of indices. It is a step function of the nodes and carries no gradient.
    """
    with torch.no_grad():
        # In place throughout: where there are many nodes, a pass over (L, L) costs as much as the product.
        similarity = nodes @ nodes.transpose(-2, -1)  # (N, L, L)
        larger: list[Tensor] = []
        for _ in range(neighbours - 1):  # for so few neighbours faster than topk
            larger.append(similarity.argmax(dim=-1, keepdim=True))  # (N, L, 1)
            similarity.scatter_(-1, larger[-1], -math.inf)
        adjacency = torch.ge(similarity, similarity.amax(dim=-1, keepdim=True), out=similarity)  # ones and zeros
        for neighbour in larger:
            adjacency.scatter_(-1, neighbour, 1)
        return adjacency.to(nodes.dtype)


class FixedGraph(nn.Module):
    """Sums over the neighbours in one fixed graph: Â · messages."""

    normalised: Tensor

    def __init__(self, adjacency: Tensor) -> None:
        super().__init__()
        self.register_buffer("normalised", normalise(adjacency), persistent=False)

    def forward(self, nodes: Tensor, messages: Tensor) -> Tensor:
        """(N, L, C) features, which a fixed graph doesn't look at, and (N, L, C) messages -> (N, L, C)"""
        return self.normalised @ messages


class ChainGraph(nn.Module):
    """Means over each node of a chain and its nearest: ``before`` nodes and ``after`` nodes; linear in L, for any L.

    Inside the chain, where all have as many neighbours, that is Â. At an end the last node stands in for those missing.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before = before
        self.after = after

    def forward(self, nodes: Tensor, messages: Tensor) -> Tensor:
        """(N, L, C) features, which a chain doesn't look at, and (N, L, C) messages -> (N, L, C)"""
        length = messages.shape[1]
        first, last = messages[:, :1], messages[:, -1:]
        padded = torch.cat(
            (first.expand(-1, self.before, -1), messages, last.expand(-1, self.after, -1)), dim=1
        )  # (N, before + L + after, C)
        total = padded[:, :length]
        for offset in range(1, self.before + self.after + 1):
            total = total + padded[:, offset : offset + length]
        return total / (self.before + self.after + 1)


class SimilarityGraph(nn.Module):
    """Sums over the neighbours in a graph that links each node to those most similar to it: Â(nodes) · messages."""

    def __init__(self, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours

    def forward(self, nodes: Tensor, messages: Tensor) -> Tensor:
        """(N, L, C) features, which decide the graph, and (N, L, C) messages -> (N, L, C)"""
        graphs = max(1, _LARGEST_ADJACENCY // nodes.shape[-2] ** 2)
        if not nodes.is_cpu or len(nodes) <= graphs:
            return self._gather(nodes, messages)
        parts = zip(nodes.split(graphs), messages.split(graphs), strict=True)
        return torch.cat([self._gather(*part) for part in parts])

    def _gather(self, nodes: Tensor, messages: Tensor) -> Tensor:
        adjacency = most_similar(nodes, self.neighbours)
        scale = adjacency.sum(dim=-1, keepdim=True).rsqrt()  # (N, L, 1)
        return scale * (adjacency @ (scale * messages))  # Â · messages, without a pass over (L, L) for each scaling


class GraphConvolution(nn.Module):
    """relu(x + BatchNorm(Â V(x) + U(x))) over the last axis but one: (..., L, C) -> (..., L, C).

    V (``neighbour_projection``) makes the messages of the neighbours, U (``own_projection``) keeps the node's own
    features; the batch norm's channels are the nodes, which ties the layer to their number.
    """

    def __init__(self, dim: int, nodes: int, graph: FixedGraph | SimilarityGraph) -> None:
        super().__init__()
        self.graph = graph
        self.own_projection = nn.Linear(dim, dim)
        self.neighbour_projection = nn.Linear(dim, dim)
        self.batch_norm = nn.BatchNorm1d(nodes)
        for projection in (self.own_projection, self.neighbour_projection):
            nn.init.normal_(projection.weight, std=math.sqrt(2 / dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., L, C) -> (..., L, C)"""
        nodes = x.flatten(0, -3)  # (N, L, C)
        gathered = self.graph(nodes, self.neighbour_projection(nodes))
        changed = nodes + self.batch_norm(gathered + self.own_projection(nodes))
        return functional.relu(changed).view(x.shape)  # (..., L, C)


class NodewiseGraphConvolution(nn.Module):
    """relu(x + LayerNorm(Â V(x) + U(x))) over the last axis but one: (..., L, C) -> (..., L, C).

    GraphConvolution with the norm over each node's own channels. So it takes any number of nodes, and no node's result
    depends on others than its neighbours, in training neither.
    """

    def __init__(self, dim: int, graph: FixedGraph | ChainGraph | SimilarityGraph) -> None:
        super().__init__()
        self.graph = graph
        self.own_projection = nn.Linear(dim, dim)
        self.neighbour_projection = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        for projection in (self.own_projection, self.neighbour_projection):
            nn.init.normal_(projection.weight, std=math.sqrt(2 / dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., L, C) -> (..., L, C)"""
        nodes = x.flatten(0, -3)  # (N, L, C)
        gathered = self.graph(nodes, self.neighbour_projection(nodes))
        changed = nodes + self.norm(gathered + self.own_projection(nodes))
        return functional.relu(changed).view(x.shape)  # (..., L, C)

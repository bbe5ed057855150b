"""Graph convolution against small cases worked by hand and torch.topk."""

from __future__ import annotations

import pytest
import torch

from baselines import graph
from baselines.graph import (
    ChainGraph,
    FixedGraph,
    GraphConvolution,
    NodewiseGraphConvolution,
    SimilarityGraph,
    most_similar,
    normalise,
)


def test_normalise_scales_columns_by_the_degree_of_their_own_row() -> None:
    adjacency = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])  # degrees 2, 1, 3
    expected = torch.tensor([[0, 2**-0.5, 6**-0.5], [2**-0.5, 0, 0], [6**-0.5, 3**-0.5, 1 / 3]])
    torch.testing.assert_close(normalise(adjacency), expected)


@pytest.mark.parametrize("neighbours", [1, 2, 4, 9])
def test_most_similar_is_all_that_reach_the_kth_largest_ties_included(neighbours: int) -> None:
    nodes = torch.randint(-1, 2, (20, 9, 3), generator=torch.Generator().manual_seed(0)).float()  # many ties
    similarity = nodes @ nodes.transpose(1, 2)
    threshold = similarity.topk(neighbours, dim=-1).values[..., -1:]
    adjacency = most_similar(nodes, neighbours)
    assert torch.equal(adjacency, (similarity >= threshold).float())
    if neighbours == 2:
        assert adjacency.sum(dim=-1).max() > 2


def test_similarity_graph_is_the_normalised_adjacency() -> None:
    nodes, messages = torch.randn(2, 4, 7, 5, generator=torch.Generator().manual_seed(0))
    expected = normalise(most_similar(nodes, 3)) @ messages
    torch.testing.assert_close(SimilarityGraph(3)(nodes, messages), expected)


def test_graphs_made_a_few_at_a_time_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, messages = torch.randn(2, 5, 7, 3, generator=torch.Generator().manual_seed(0))
    at_once = SimilarityGraph(2)(nodes, messages)
    made: list[int] = []

    def recorded(nodes: torch.Tensor, neighbours: int) -> torch.Tensor:
        made.append(len(nodes))
        return most_similar(nodes, neighbours)

    monkeypatch.setattr(graph, "most_similar", recorded)
    monkeypatch.setattr(graph, "_LARGEST_ADJACENCY", 2 * 7 * 7 + 1)
    torch.testing.assert_close(SimilarityGraph(2)(nodes, messages), at_once)
    assert made == [2, 2, 1]


def test_the_choice_of_neighbours_carries_no_gradient() -> None:
    nodes = torch.randn(1, 5, 3, requires_grad=True)
    messages = torch.randn(1, 5, 3, requires_grad=True)
    SimilarityGraph(2)(nodes, messages).sum().backward()
    assert nodes.grad is None
    assert messages.grad is not None


def test_graph_convolution_by_hand() -> None:
    layer = GraphConvolution(1, 2, FixedGraph(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))).eval()
    with torch.no_grad():
        for projection, weight in ((layer.own_projection, 2.0), (layer.neighbour_projection, -3.0)):
            projection.weight.fill_(weight)
            projection.bias.zero_()
        layer.get_buffer("batch_norm.running_var").fill_(1 - layer.batch_norm.eps)
        x = torch.tensor([[[1.0], [2.0]]])
        torch.testing.assert_close(layer(x), torch.tensor([[[0.0], [2 - 3 + 4.0]]]))  # relu(1 - 6 + 2), relu(2 - 3 + 4)


def test_each_node_is_a_channel_of_the_batch_norm() -> None:
    layer = GraphConvolution(4, 3, SimilarityGraph(1))
    layer(torch.randn(2, 5, 3, 4))
    assert layer.get_buffer("batch_norm.running_mean").shape == (3,)


def test_projections_begin_with_the_authors_spread() -> None:
    torch.manual_seed(0)
    layer = GraphConvolution(128, 3, SimilarityGraph(1))
    for projection in (layer.own_projection, layer.neighbour_projection):
        assert projection.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.03)


def test_the_fixed_graph_is_no_entry_of_a_checkpoint_but_moves_with_the_module() -> None:
    graph = FixedGraph(torch.eye(2)).double()
    assert not graph.state_dict()
    assert graph.normalised.dtype == torch.float64


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 0), (3, 2)])
def test_a_chain_is_the_mean_with_the_ends_repeated(before: int, after: int, length: int) -> None:
    messages = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(0))
    nodes = [messages[:, [min(max(node + offset, 0), length - 1) for offset in range(-before, after + 1)]].mean(dim=1)
             for node in range(length)]  # fmt: skip
    torch.testing.assert_close(ChainGraph(before, after)(messages, messages), torch.stack(nodes, dim=1))


def test_inside_a_chain_the_mean_is_the_normalised_adjacency() -> None:
    messages = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    adjacency = torch.ones(9, 9).triu(-1).tril(1)
    gathered = ChainGraph(1, 1)(messages, messages)
    torch.testing.assert_close(gathered[:, 2:-2], (normalise(adjacency) @ messages)[:, 2:-2])


def test_nodewise_graph_convolution_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = NodewiseGraphConvolution(4, FixedGraph(torch.tensor([[0.0, 1.0], [1.0, 0.0]])))
    torch.nn.init.normal_(layer.norm.weight)
    x = torch.randn(3, 5, 2, 4)
    changed = layer.neighbour_projection(x).flip(-2) + layer.own_projection(x)  # each node's neighbour is the other one
    changed = (changed - changed.mean(-1, keepdim=True)) / (changed.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), (x + changed * layer.norm.weight + layer.norm.bias).clamp(min=0))


def test_nodewise_graph_convolution_looks_at_neighbours_alone_in_training() -> None:
    layer = NodewiseGraphConvolution(4, ChainGraph(1, 0)).train()
    x = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(layer(x)[:, :4], layer(changed)[:, :4])

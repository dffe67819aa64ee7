"""What can be passed as graphs: other libraries' objects, files, SMILES, one large graph."""

import io
import sys
import types
import warnings
import zipfile

import networkx
import numpy as np
import pytest
import torch

from anymae.data.sources import open_source
from anymae.errors import BadConfig, BadInput, MissingExtra
from anymae.limits import LIMITS
from anymae.modalities.graph.adapter import SEED, GraphAdapter
from anymae.modalities.graph.files import read_graph
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.natives import as_graph
from anymae.modalities.graph.neighbourhoods import LargeGraph, Neighbourhoods

from .graphs import fitted, graphs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pyg = pytest.importorskip("torch_geometric.data")


def same(found: Graph, wanted: Graph) -> None:
    assert found.nodes == wanted.nodes
    for name in ("x", "edges", "edge_values"):
        a, b = getattr(found, name), getattr(wanted, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)


def opened(dataset, **options):
    return open_source(dataset, GraphAdapter(**options))


def data_of(graph: Graph, y=None):
    return pyg.Data(x=graph.x, edge_index=graph.edges, edge_attr=graph.edge_values, y=y,
                    num_nodes=graph.nodes)  # fmt: skip


# PyG


def test_one_graph_of_pyg_is_one_sample_with_labels_of_its_nodes():
    graph = graphs(1, edge_numbers=2)[0]
    source = opened(data_of(graph, y=torch.arange(graph.nodes)))
    assert len(source) == 1
    same(as_graph(source[0]), graph)
    assert source.labels[0].tolist() == list(range(graph.nodes))


def test_a_list_of_pyg_graphs_has_their_labels():
    wanted = graphs(4, edge_numbers=1)
    source = opened([data_of(g, torch.tensor([i % 2])) for i, g in enumerate(wanted)])
    for i, graph in enumerate(wanted):
        same(as_graph(source[i]), graph)
    assert source.labels.tolist() == [0, 1, 0, 1]


def test_several_targets_of_a_graph_are_one_row():
    rows = torch.randn(3, 1, 5)
    source = opened([data_of(g, y) for g, y in zip(graphs(3), rows, strict=True)])
    np.testing.assert_array_equal(source.labels, rows[:, 0])


def test_a_batch_of_pyg_is_its_graphs():
    wanted = graphs(3)
    batch = pyg.Batch.from_data_list([data_of(g, torch.tensor(1.5)) for g in wanted])
    source = opened(batch)
    for i, graph in enumerate(wanted):
        same(as_graph(source[i]), graph)
    assert source.labels.tolist() == [1.5] * 3


class InMemory(pyg.InMemoryDataset):
    def __init__(self, samples):
        super().__init__(None)
        self.data, self.slices = self.collate(samples)


class OnDisk(pyg.Dataset):
    """Reads a graph when asked, and counts."""

    def __init__(self, samples):
        super().__init__(None)
        self.samples, self.read = samples, 0

    def len(self):
        return len(self.samples)

    def get(self, idx):
        self.read += 1
        return self.samples[idx]


def test_a_pyg_data_set_in_memory_has_labels():
    wanted = graphs(4)
    dataset = InMemory([data_of(g, torch.tensor([i])) for i, g in enumerate(wanted)])
    source = opened(dataset[[2, 0]])
    same(as_graph(source[0]), wanted[2])
    assert source.labels.tolist() == [2, 0]


def test_a_pyg_data_set_on_disk_is_read_lazily():
    wanted = graphs(5)
    dataset = OnDisk([data_of(g, torch.tensor([0])) for g in wanted])
    source = opened(dataset)
    assert dataset.read <= 1
    same(as_graph(source[3]), wanted[3])


def test_a_torch_data_set_may_hold_graphs_and_labels():
    wanted = graphs(3)

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return data_of(wanted[i]), i

    source = opened(Pairs())
    same(as_graph(source[1]), wanted[1])
    assert source.labels.tolist() == [0, 1, 2]


def test_graphs_and_labels_may_come_apart():
    wanted = graphs(3)
    source = opened(([data_of(g) for g in wanted], [2, 0, 1]))
    same(as_graph(source[1]), wanted[1])
    assert source.labels.tolist() == [2, 0, 1]
    of_nodes = opened((data_of(wanted[0]), np.arange(wanted[0].nodes)))
    assert of_nodes.labels[0].tolist() == list(range(wanted[0].nodes))


def test_a_graph_of_pyg_without_features_has_its_nodes():
    data = pyg.Data(edge_index=torch.tensor([[0], [1]]), num_nodes=4)
    assert as_graph(data).nodes == 4
    assert as_graph(data).x is None


def test_what_pyg_cannot_say_in_one_kind_of_node_is_refused():
    hetero = pyg.HeteroData()
    hetero["a"].x = torch.ones(2, 1)
    hetero["a", "to", "a"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(BadInput, match="to_homogeneous"):
        as_graph(hetero)
    with pytest.raises(BadInput, match="no edge_index"):
        as_graph(pyg.Data(x=torch.ones(2, 1)))


# Dictionaries


def test_dictionaries_are_graphs():
    wanted = graphs(3, edge_numbers=1)
    samples = [{"x": g.x, "edges": g.edges, "edge_values": g.edge_values, "y": i}
               for i, g in enumerate(wanted)]  # fmt: skip
    source = opened(samples)
    for i, graph in enumerate(wanted):
        same(as_graph(source[i]), graph)
    assert source.labels.tolist() == [0, 1, 2]


def test_names_of_pyg_are_understood_in_dictionaries():
    wanted = graphs(1, edge_numbers=1)[0]
    sample = {"x": wanted.x, "edge_index": wanted.edges, "edge_attr": wanted.edge_values}
    same(as_graph(sample), wanted)
    assert as_graph({"edges": [[0], [1]], "num_nodes": 5}).nodes == 5


@pytest.mark.parametrize("sample", [{"x": [[1.0]]}, 3, np.ones((3, 3)), "C"], ids=str)
def test_other_things_are_not_graphs(sample):
    with pytest.raises(BadInput, match="graph"):
        as_graph(sample)


def test_an_error_names_the_sample():
    good = graphs(1)[0]
    samples = [{"x": good.x, "edges": good.edges}, {"x": good.x, "edges": good.edges + 99}]
    source = opened(samples)
    adapter = GraphAdapter().fit([source[0]])
    from anymae.data.batches import read_batch

    with pytest.raises(BadInput, match="sample 1, edge 0"):
        read_batch(source, adapter, [0, 1])


def test_sparse_features_are_read():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    x = np.diag([1.0, 0.0, 2.0])
    edges = [[0, 1], [1, 2]]
    wanted = Graph.of(x, edges)
    same(Graph.of(scipy_sparse.csr_matrix(x), edges), wanted)
    same(Graph.of(torch.from_numpy(x).to_sparse(), edges), wanted)


# networkx


def test_an_undirected_network_has_edges_both_ways():
    network = networkx.path_graph(3)
    networkx.set_node_attributes(network, {0: 1.0, 1: 2.0, 2: 3.0}, "level")
    networkx.set_edge_attributes(network, {(0, 1): 5.0, (1, 2): 7.0}, "length")
    found = as_graph(network, ["level"], ["length"])
    wanted = Graph.of([1.0, 2.0, 3.0], [[0, 1, 1, 2], [1, 2, 0, 1]], [5.0, 7.0, 5.0, 7.0])
    same(found, wanted)


def test_a_directed_network_keeps_its_directions_and_names():
    network = networkx.DiGraph([("b", "a"), ("a", "a")])
    assert as_graph(network).edges.T.tolist() == [[0, 1], [1, 1]]
    assert as_graph(network).x is None


def test_a_loop_of_an_undirected_network_is_one_edge():
    assert as_graph(networkx.Graph([(0, 0), (0, 1)])).edges.shape == (2, 3)


def test_attributes_may_be_vectors_and_categories():
    network = networkx.Graph([(0, 1)])
    networkx.set_node_attributes(network, {0: [1.0, 2.0], 1: [3.0, 4.0]}, "place")
    networkx.set_node_attributes(network, {0: 5, 1: 6}, "kind")
    assert as_graph(network, ["place", "kind"]).x.tolist() == [[1, 2, 5], [3, 4, 6]]
    assert as_graph(network, ["kind"]).x.dtype == torch.int64


def test_networks_are_a_data_set():
    networks = [networkx.cycle_graph(n) for n in (3, 4, 5)]
    adapter = GraphAdapter()
    source = open_source((networks, ["a", "b", "a"]), adapter)
    assert source.labels.tolist() == [0, 1, 0]
    packed = adapter.fit(list(source)).batch_tokenize(list(source))
    assert packed.segments.lengths.tolist() == [3, 4, 5]
    assert packed.edges.pairs.shape == (2, 24)
    assert len(opened(networks[0])) == 1


def test_a_missing_attribute_is_named():
    network = networkx.Graph([("a", "b")])
    network.nodes["a"]["level"] = 1.0
    with pytest.raises(BadInput, match=r"node 'b': no attribute 'level'"):
        as_graph(network, ["level"])
    network.nodes["b"]["level"] = "high"
    with pytest.raises(BadInput, match="node 'b': attributes must be numbers"):
        as_graph(network, ["level"])


# Files


def saved(path, graph: Graph, **more):
    arrays = {"x": graph.x, "edges": graph.edges, "edge_values": graph.edge_values}
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None}, **more)
    return path


def test_a_folder_of_files_is_a_data_set(tmp_path):
    wanted = graphs(4, edge_numbers=1)
    for i, graph in enumerate(wanted):
        folder = tmp_path / ("ring" if i % 2 else "tree")
        folder.mkdir(exist_ok=True)
        saved(folder / f"{i}.npz", graph)
    source = opened(str(tmp_path))
    assert source.labels.tolist() == [0, 0, 1, 1]
    for i, j in enumerate([1, 3, 0, 2]):
        same(source[i], wanted[j])


def test_one_file_is_one_graph_with_its_labels(tmp_path):
    graph = graphs(1)[0]
    path = saved(tmp_path / "g.npz", graph, y=np.arange(graph.nodes))
    source = opened(str(path))
    same(source[0], graph)
    assert source.labels[0].tolist() == list(range(graph.nodes))


def test_a_file_without_a_graph_says_what_it_holds(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, pictures=np.ones(3))
    with pytest.raises(BadInput, match=r"other.npz: the file holds no graph; found arrays 'pict"):
        opened(str(path))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut"], ids=repr)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.npz"):
        opened([str(path)])[0]


def test_a_bad_graph_in_a_file_is_named(tmp_path):
    np.savez(tmp_path / "g.npz", x=np.ones((2, 1)), edges=np.array([[0], [7]]))
    with pytest.raises(BadInput, match=r"g\.npz, edge 0: an edge names a node"):
        opened([str(tmp_path / "g.npz")])[0]


def test_pickles_in_files_are_never_loaded(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, x=np.array([{}, []], dtype=object), edges=np.zeros((2, 0)))
    with pytest.raises(BadInput, match=r"p\.npz: not a readable"):
        opened([str(path)])[0]


def test_a_file_that_swells_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(10**6))
    limits = LIMITS.model_copy(update={"zip_ratio_from_bytes": 1000})
    with pytest.raises(BadInput, match=r"b\.npz, x\.npy: the compressed array is too large"):
        read_graph(file, "b.npz", limits)


# Molecules


class Atom:
    def __init__(self, number: int) -> None:
        self.number = number

    def __getattr__(self, name: str):
        return lambda: self.number if name == "GetAtomicNum" else 0


class Bond:
    def __init__(self, a: int, b: int, kind: int) -> None:
        self.ends = {"GetBeginAtomIdx": a, "GetEndAtomIdx": b, "GetBondType": kind}

    def __getattr__(self, name: str):
        return lambda: self.ends.get(name, 0)


class Molecule:
    """A chain of C, O and N with = for double bonds: enough to stand in for RDKit."""

    def __init__(self, text: str) -> None:
        self.atoms, self.bonds, kind = [], [], 1
        for letter in text:
            if letter == "=":
                kind = 2
                continue
            self.atoms.append(Atom({"C": 6, "N": 7, "O": 8}[letter]))
            if len(self.atoms) > 1:
                self.bonds.append(Bond(len(self.atoms) - 2, len(self.atoms) - 1, kind))
            kind = 1

    def GetNumAtoms(self):
        return len(self.atoms)

    def GetAtoms(self):
        return self.atoms

    def GetBonds(self):
        return self.bonds


@pytest.fixture
def chem(monkeypatch):
    """Something with RDKit's interface, whether it is installed or not."""
    made = types.ModuleType("rdkit.Chem")
    made.MolFromSmiles = lambda text: Molecule(text) if set(text) <= set("CNO=") else None
    monkeypatch.setitem(sys.modules, "rdkit", types.ModuleType("rdkit"))
    monkeypatch.setitem(sys.modules, "rdkit.Chem", made)


@pytest.mark.usefixtures("chem")
@pytest.mark.parametrize("kind", [list, np.array])
def test_smiles_are_molecules(kind):
    adapter = GraphAdapter()
    source = open_source(kind(["CC=O", "NCC"]), adapter)
    assert source[0].x[:, 0].tolist() == [6, 6, 8]
    assert source[0].edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert source[0].edge_values[:, 0].tolist() == [1, 1, 2, 2]
    learned = adapter.fit(list(source))
    assert learned.node_code.codes[0] == (6, 7, 8)
    assert learned.edge_code.codes[0] == (1, 2)


@pytest.mark.usefixtures("chem")
def test_a_text_that_is_no_molecule_is_named():
    source = opened(["CC", "banana"])
    with pytest.raises(BadInput, match="sample 1: not a molecule; found 'banana'"):
        source[1]


def test_without_rdkit_smiles_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(MissingExtra, match="pip install rdkit"):
        opened(["CC=O"])


def test_paths_are_not_molecules(tmp_path):
    path = saved(tmp_path / "g.npz", graphs(1)[0])
    assert len(opened([str(path), str(path)])) == 2


# One large graph


def large(nodes: int = 200, seed: int = 0) -> Graph:
    draw = np.random.default_rng(seed)
    edges = draw.integers(0, nodes, (2, 6 * nodes))
    edges[1, : nodes // 2] = 0  # a hub
    edges = np.unique(edges, axis=1)
    return Graph.of(np.arange(nodes, dtype=np.float64)[:, None], edges,
                    edges[0] * 1000.0 + edges[1])  # fmt: skip


def test_neighbourhoods_cover_the_graph_seeds_first():
    graph = large()
    samples = Neighbourhoods(graph, (3, 2), 64)
    assert len(samples) == 4
    seen = []
    for sample in samples:
        count = len(sample.seeds)
        seen += sample.graph.x[:count, 0].tolist()
        assert len(sample.graph.x.unique()) == sample.graph.nodes
        assert sample.graph.nodes <= count * (1 + 3 + 3 * 2)
    assert seen == list(range(200))


def test_a_neighbourhood_has_all_edges_among_its_nodes():
    graph = large()
    known = set(map(tuple, graph.edges.T.tolist()))
    for sample in Neighbourhoods(graph, (2,), 40):
        ids = sample.graph.x[:, 0].long()
        found = list(map(tuple, ids[sample.graph.edges].T.tolist()))
        assert len(set(found)) == len(found)
        members = set(ids.tolist())
        assert set(found) == {(a, b) for a, b in known if a in members and b in members}
        values = [a * 1000 + b for a, b in found]
        assert sample.graph.edge_values[:, 0].tolist() == values
        assert torch.equal(sample.graph.in_degrees, graph.in_degrees[ids])


def test_every_drawn_node_is_a_neighbour_within_the_rounds():
    graph = large()
    whole = LargeGraph(graph)
    points_at = {i: set() for i in range(200)}
    for a, b in graph.edges.T.tolist():
        points_at[b].add(a)
    seeds = np.array([5, 0])
    nodes = whole.around(seeds, (4, 3), np.random.default_rng(0))
    near = set.union(*(points_at[int(s)] for s in seeds)) | set(seeds.tolist())
    further = near | set.union(*(points_at[n] for n in near))
    assert set(nodes.tolist()) <= further
    first = whole.around(seeds, (4,), np.random.default_rng(0))
    assert set(first.tolist()) <= near
    assert len(first) == 2 + len(set(first[2:].tolist())) <= 2 + 2 * 4


def test_neighbours_are_equally_likely():
    edges = np.stack([np.arange(1, 11), np.zeros(10, dtype=np.int64)])
    whole = LargeGraph(Graph.of(np.ones((11, 1)), edges))
    draw = np.random.default_rng(0)
    found = np.concatenate([whole.around(np.array([0]), (3,), draw)[1:] for _ in range(600)])
    counts = np.bincount(found, minlength=11)[1:]
    assert counts.sum() == 1800
    assert 130 < counts.min() <= counts.max() < 230


def test_a_neighbourhood_is_a_function_of_its_key():
    samples = Neighbourhoods(large(), (2,), 20)
    assert torch.equal(samples[1].graph.x, Neighbourhoods(large(), (2,), 20)[1].graph.x)
    redrawn = [samples[1].redrawn(torch.Generator().manual_seed(s)).graph.x for s in (0, 0, 1)]
    assert torch.equal(redrawn[0], redrawn[1])
    assert redrawn[0].tolist() != redrawn[2].tolist()
    with pytest.raises(IndexError):
        samples[10]


def test_fan_outs_cut_a_graph_into_samples():
    adapter = GraphAdapter(fan_outs=(3,), seeds=50)
    source = open_source(large(), adapter)
    assert len(source) == 4
    adapter = adapter.fit(list(source))
    tokens = adapter.tokenize(source[1])
    assert tokens.side[SEED].nonzero()[:, 0].tolist() == list(range(50))
    drawn = adapter.augment(source[1], torch.Generator().manual_seed(0))
    assert len(adapter.tokenize(drawn)) >= 50
    assert fitted([large()], fan_outs=(3,)).tokenize(large()).side[SEED].all()
    with pytest.raises(BadConfig, match="one large graph"):
        open_source(graphs(2), adapter)

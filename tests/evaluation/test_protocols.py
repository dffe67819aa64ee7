import numpy as np
import pytest
import torch
from sklearn.svm import SVC, LinearSVC

from anymae.errors import BadConfig
from anymae.evaluation.protocols import (
    FewShot,
    LinearProbe,
    NearestNeighbours,
    Problem,
    Protocol,
    SupportVectors,
)
from anymae.evaluation.protocols.protocol import protocol_of, refuse_task


def blobs(count=120, classes=3, spread=1.0, seed=0):
    draw = np.random.default_rng(seed)
    y = np.arange(count) % classes
    centres = draw.normal(size=(classes, 6))
    x = (centres[y] + spread * draw.normal(size=(count, 6))).astype(np.float32)
    half = count // 2
    problem = Problem(
        *(torch.from_numpy(part) for part in (x[:half], y[:half], x[half:])), classes=classes
    )
    return problem, y[half:]


def brute_force(x, y, x_test, k, temperature, classes):
    answers = []
    for one in x_test:
        cosine = x @ one / np.linalg.norm(x, axis=1) / np.linalg.norm(one)
        votes = np.zeros(classes)
        for i in np.argsort(-cosine)[:k]:
            votes[y[i]] += np.exp(cosine[i] / temperature)
        answers.append(votes.argmax())
    return np.array(answers)


@pytest.mark.parametrize("k", [1, 20, 1000])
def test_neighbours_vote_as_by_hand(k):
    problem, _ = blobs(spread=2.0)
    (found,) = NearestNeighbours(k=k).run(problem, 0)[""]
    x, y, x_test = (part.double().numpy() for part in (problem.x, problem.y, problem.x_test))
    wanted = brute_force(x, y.astype(int), x_test, k, 0.07, 3)
    np.testing.assert_array_equal(found.values, wanted)
    np.testing.assert_allclose(found.scores.sum(1), 1, rtol=1e-5)


def test_neighbours_average_numbers():
    x = torch.eye(3)
    problem = Problem(x, torch.tensor([[1.0], [2.0], [5.0]]), x, classes=0)
    (nearest,) = NearestNeighbours(k=1).run(problem, 0)[""]
    np.testing.assert_allclose(nearest.values, problem.y)
    (all_three,) = NearestNeighbours(temperature=1e6).run(problem, 0)[""]
    np.testing.assert_allclose(all_three.values, np.full((3, 1), 8 / 3), rtol=1e-4)


def test_the_probe_penalises_noise_more_than_signal():
    noise = Problem(torch.randn(60, 40, generator=torch.manual_seed(0)), torch.arange(60) % 2,
                    torch.zeros(1, 40), classes=2)  # fmt: skip
    signal, _ = blobs(count=400, spread=0.3)
    probe = LinearProbe()
    assert probe._chosen(noise, 0) > probe._chosen(signal, 0)


def test_the_probe_fits_numbers():
    x = torch.randn(100, 4, generator=torch.manual_seed(0))
    y = x @ torch.tensor([[1.0], [-2.0], [0.0], [3.0]]) + 5
    (found,) = LinearProbe().run(Problem(x, y, x, classes=0), 0)[""]
    np.testing.assert_allclose(found.values, y, atol=0.05)


def test_few_shots_are_drawn_by_seed_and_more_are_better():
    problem, truth = blobs(count=240, spread=1.5)
    found = FewShot().run(problem, 0)
    assert list(found) == ["10-shot", "5-shot", "1-shot"]
    assert all(len(runs) == 20 for runs in found.values())
    again, other = FewShot().run(problem, 0), FewShot().run(problem, 1)
    same = [
        torch.equal(a.values, b.values)
        for runs in (again, other)
        for a, b in zip(found["1-shot"], runs["1-shot"], strict=True)
    ]
    assert all(same[:20])
    assert not all(same[20:])
    right = {k: np.mean([(p.values.numpy() == truth).mean() for p in v]) for k, v in found.items()}
    assert right["1-shot"] < right["5-shot"] < right["10-shot"]


@pytest.mark.parametrize("classifier", ["mean", "logistic"])
def test_few_shots_tell_separate_blobs_apart(classifier):
    problem, truth = blobs(spread=0.1)
    found = FewShot(classifier=classifier, repeats=3, shots=(2,)).run(problem, 0)
    assert all((p.values.numpy() == truth).all() for p in found["2-shot"])


def test_few_shots_are_as_many_as_the_smallest_class_has():
    problem, _ = blobs(count=18)  # three a class
    assert list(FewShot(repeats=2).run(problem, 0)) == ["1-shot"]
    assert list(FewShot(repeats=2, shots=(5, 10)).run(problem, 0)) == ["3-shot"]


def test_the_support_vector_machine_is_scikit_learns():
    problem, _ = blobs()
    (found,) = SupportVectors(costs=(0.1,)).run(problem, 0)[""]
    theirs = LinearSVC(C=0.1, dual=False).fit(problem.x, problem.y)
    np.testing.assert_array_equal(found.values, theirs.predict(problem.x_test))


def test_the_kernel_machine_is_scikit_learns():
    problem, _ = blobs()
    (found,) = SupportVectors(kernel="rbf", costs=(10.0,)).run(problem, 0)[""]
    theirs = SVC(C=10.0, gamma=1 / problem.x.shape[1], break_ties=True).fit(problem.x, problem.y)
    np.testing.assert_array_equal(found.values, theirs.predict(problem.x_test))


def test_the_kernel_machine_solves_what_no_line_can():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=draw)
    y = (x[:, 0] * x[:, 1] > 0).long()
    problem = Problem(x[:100], y[:100], x[100:], classes=2)
    accuracy = {
        kernel: float((SupportVectors(kernel=kernel).run(problem, 0)[""][0].values == y[100:])
                      .float().mean())
        for kernel in ("linear", "rbf")
    }  # fmt: skip
    assert accuracy["rbf"] > 0.85 > 0.7 > accuracy["linear"]


def test_the_support_vector_machine_refuses_large_sets():
    with pytest.raises(BadConfig, match="protocol='linear'"):
        SupportVectors(limit=10).run(blobs()[0], 0)


def test_protocols_are_found_by_name():
    assert protocol_of("knn") == NearestNeighbours()
    assert protocol_of({"kind": "knn", "k": 3}).k == 3
    with pytest.raises(BadConfig, match=r"unknown protocol 'liner'.*Did you mean 'linear'"):
        protocol_of("liner")
    with pytest.raises(BadConfig, match=r"protocol 'knn'.*K"):
        protocol_of({"kind": "knn", "K": 3})
    with pytest.raises(BadConfig, match="not defined for regression; expected one of knn, linear"):
        refuse_task(FewShot(), "regression")


def test_a_protocol_of_ones_own_joins_by_its_kind(monkeypatch):
    monkeypatch.setattr(Protocol, "_kinds", dict(Protocol.kinds()))

    class Majority(Protocol, kind="majority"):
        pass

    assert isinstance(protocol_of("majority"), Majority)

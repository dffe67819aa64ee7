"""Molecules from SMILES strings, where RDKit is installed.

Atoms and bonds become whole numbers, read as categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from anymae.errors import BadInput, MissingExtra
from anymae.modalities.graph.graph import Graph

ATOM_COLUMNS = (
    "atomic number", "chirality", "neighbours", "formal charge", "hydrogens", "radical electrons",
    "hybridisation", "aromatic", "in a ring",
)  # fmt: skip
BOND_COLUMNS = ("type", "stereo", "conjugated")


class Molecules(Sequence[Graph]):
    """SMILES strings as graphs, parsed when asked for."""

    def __init__(self, smiles: Sequence[str]) -> None:
        self.smiles = list(smiles)
        _rdkit()

    def __len__(self) -> int:
        return len(self.smiles)

    def __getitem__(self, index: Any) -> Any:
        return molecule(self.smiles[index])


def are_smiles(value: Any) -> bool:
    """Whether a list or array of texts can be SMILES: no text in it has a file's ending."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind == "U" and value.ndim == 1 else None
    if not isinstance(value, (list, tuple)) or not value:
        return False
    endings = (".npz", ".npy", ".tar", ".parquet", ".gz", ".zip", ".csv", ".json")
    return all(isinstance(v, str) and not v.lower().endswith(endings) for v in value)


def molecule(smiles: str) -> Graph:
    """One molecule: atoms (n, 9) and bonds (2 a bond, 3) as whole numbers, see ``ATOM_COLUMNS`` and
    ``BOND_COLUMNS``. Raises ``BadInput``, and ``MissingExtra`` without RDKit."""
    read = _rdkit().MolFromSmiles(smiles)
    if read is None or not read.GetNumAtoms():
        raise BadInput(
            "not a molecule", found=repr(smiles), expected="a SMILES string",
            hint="For files, pass paths that end in .npz.",
        )  # fmt: skip
    atoms = np.array([_atom(atom) for atom in read.GetAtoms()], dtype=np.int64)
    pairs, values = [], []
    for bond in read.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        pairs += [(a, b), (b, a)]
        values += [_bond(bond)] * 2
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Graph.of(atoms, edges, np.array(values, dtype=np.int64).reshape(-1, 3))


def _atom(atom: Any) -> list[int]:
    return [
        atom.GetAtomicNum(), int(atom.GetChiralTag()), atom.GetTotalDegree(),
        atom.GetFormalCharge(), atom.GetTotalNumHs(), atom.GetNumRadicalElectrons(),
        int(atom.GetHybridization()), int(atom.GetIsAromatic()), int(atom.IsInRing()),
    ]  # fmt: skip


def _bond(bond: Any) -> list[int]:
    return [int(bond.GetBondType()), int(bond.GetStereo()), int(bond.GetIsConjugated())]


def _rdkit() -> Any:
    try:  # by name: no extra of anymae installs it
        return import_module("rdkit.Chem")
    except ImportError:
        raise MissingExtra(
            "reading SMILES needs the package 'rdkit', which is not installed",
            hint="Run: pip install rdkit",
        ) from None

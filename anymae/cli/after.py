"""Commands for a trained model: judge it, use it, show it, and import one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from anymae.cli.settings import parsed
from anymae.errors import BadConfig

RunArgument = Annotated[Path, typer.Argument(help="A run folder or a model folder.")]
Data = Annotated[str, typer.Argument(help="A folder, glob, file, or tar/Parquet shards.")]
Train = Annotated[str, typer.Option("--train", help="Labelled data.")]
Test = Annotated[str | None, typer.Option("--test", help="Labelled test data.")]


def evaluate(
    run: RunArgument,
    train: Train,
    test: Test = None,
    protocol: Annotated[str, typer.Option(help="linear, knn, few-shot, svm.")] = "linear",
) -> None:
    """Score frozen features beside raw features and a randomly initialised encoder."""
    import anymae
    from anymae.report.artifacts import save_scores

    scores = anymae.evaluate(anymae.load(run), train, test, protocol=protocol)
    typer.echo(str(scores))
    if _is_run(run):
        save_scores(run, protocol, scores)


def diagnose(run: RunArgument, data: Data) -> None:
    """Judge a model without labels: masked loss, effective rank, spectrum, collapse."""
    import anymae
    from anymae.report.artifacts import save_diagnosis

    diagnosis = anymae.diagnose(anymae.load(run), data)
    typer.echo(str(diagnosis))
    if _is_run(run):
        save_diagnosis(run, diagnosis)


def finetune(
    run: RunArgument,
    train: Train,
    task: Annotated[str, typer.Option(help="classification or regression.")] = "classification",
    validation: Annotated[str | None, typer.Option(help="Labelled validation data.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to save.")] = None,
    settings: Annotated[list[str], typer.Option("--set", "-s", help="An option, key=value.")] = [],  # noqa: B006
) -> None:
    """Train the whole encoder on labels, and save the result."""
    import anymae

    tuned = anymae.finetune(anymae.load(run), train, validation, task=task, **parsed(settings))
    folder = out or run / "finetuned"
    tuned.save(folder)
    held_out = tuned.score(validation if validation is not None else train)
    where = "validation" if validation is not None else "training"
    typer.echo(f"{where} score {held_out:.4f}, saved in {folder}")


def embed(
    run: RunArgument,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="features.npz or .parquet.")],
    pool: Annotated[str, typer.Option(help="mean, max, std, cls, or several: mean+max.")] = "mean",
    layer: Annotated[int, typer.Option(help="Block, -1 for the last.")] = -1,
) -> None:
    """Write one feature vector a sample, in order, nothing masked."""
    import anymae
    from anymae.cli.tables import write_features
    from anymae.data.sources import open_source

    if out.suffix not in (".npz", ".parquet"):
        raise BadConfig("--out must end in .npz or .parquet", found=out)
    model = anymae.load(run)
    source = open_source(data, model.adapter)
    features: Any = model.embed(source, pool=pool, layer=layer)
    write_features(out, features, [source.where(i) for i in range(len(source))])
    typer.echo(f"{features.shape[0]:,} samples x {features.shape[1]} features in {out}")


def reconstruct(
    run: RunArgument,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="A picture: .png, .svg or .pdf.")],
    mask_ratio: Annotated[float | None, typer.Option(help="Fraction hidden.")] = None,
    samples: Annotated[int, typer.Option(help="How many samples.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the masks.")] = 0,
) -> None:
    """Draw originals, what was visible, and what the model made of it."""
    import anymae
    from anymae.data.sources import Subset, open_source

    model = anymae.load(run)
    source = open_source(data, model.adapter)
    first = Subset(source, list(range(min(samples, len(source)))))
    model.reconstruct(first, mask_ratio=mask_ratio, seed=seed).plot(out, columns=samples)
    typer.echo(str(out))


def report(
    runs: Annotated[list[Path], typer.Argument(help="One run, or several to compare.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The HTML file.")] = None,
) -> None:
    """Write one self-contained HTML file about one run, or comparing several."""
    from anymae.report import write_report

    typer.echo(str(write_report(runs, out)))


def import_weights(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth, .safetensors or model folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The model folder to write.")],
) -> None:
    """Read released weights (facebookresearch/mae, transformers ViTMAE, timm ViT)."""
    import anymae

    imported = anymae.import_checkpoint(checkpoint)
    imported.model.save(out)
    typer.echo(f"{imported.report}\n{out}")


def _is_run(folder: Path) -> bool:
    return (folder / "history.csv").exists()

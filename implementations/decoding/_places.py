"""Where trained heads lie; looked up before anything computes, and so without torch."""

from __future__ import annotations

from pathlib import Path

MEDUSA, META, MTP, EAGLE, EAGLE3 = METHODS = ("medusa", "mtp_meta", "mtp_deepseek", "eagle", "eagle3")
SHIPPED = Path(__file__).parent / "heads"


def places_of_heads(model: str, method: str) -> list[Path]:
    """Return where the heads of a model may lie: those that a user has trained, then those that are shipped."""
    import platformdirs

    name = f"{model.replace('/', '-').replace(':', '-')}-{method}.safetensors"
    return [Path(platformdirs.user_cache_dir("benchwright")) / "heads" / name, SHIPPED / name]


def found_heads(model: str, method: str) -> Path | None:
    """Return the file of the heads of a method for a model; None where nobody has trained any."""
    return next((path for path in places_of_heads(model, method) if path.is_file()), None)


def how_to_train(model: str, method: str) -> str:
    """Return what to do where there are none."""
    return f"no heads yet: bench heads train {method} --model {model}"

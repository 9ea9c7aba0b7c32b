"""The files of a model: fetched whole and exact, or not at all."""

import shutil
import tempfile
from pathlib import Path

from modelyard.data.digests import digest_of
from modelyard.graphs.errors import ModelDigestWrong

from modelyard.tracking.errors import ModelNotFound
from modelyard.tracking.references import ResolvedModel

__all__ = ["fetch_files"]


def fetch_files(model: ResolvedModel, folder: Path, uri: str) -> tuple[Path, str]:
    """Bring the files of `model` into `folder`, and return it with the digest of the files.

    Parameters
    ----------
    model
        The resolved model.
    folder
        Where to; made by a rename, so that it is there whole or not at all. If it holds these files already it is
        left alone.
    uri
        The tracking store, for artifacts that a server hands out.

    Raises
    ------
    ModelDigestWrong
        The files are not those whose digest is recorded.
    ModelNotFound
        The files are gone.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if folder.exists() and model.digest and digest_of(folder) == model.digest:
        return folder, model.digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        try:
            repository = get_artifact_repository(model.location, tracking_uri=uri, registry_uri=uri)
            (scratch / "files").mkdir()
            files = Path(repository.download_artifacts("", str(scratch / "files")))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelNotFound(model.uri, reason=f"the files of {model.uri} are gone from {model.location}") from error
        except MlflowException as error:
            raise ModelNotFound(model.uri, reason=f"the files of {model.uri} cannot be read: {error}") from error
        if not (files / "MLmodel").is_file():
            raise ModelNotFound(model.uri, reason=f"there are no files of {model.uri} at {model.location}")
        found = digest_of(files)
        if model.digest and found != model.digest:
            raise ModelDigestWrong(model.uri, model.digest, found)
        if folder.exists():
            shutil.rmtree(folder)
        files.rename(folder)
        return folder, found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

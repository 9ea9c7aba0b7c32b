"""Model references: the texts that name a model, and what they are resolved to."""

import re

import msgspec

from modelyard.tracking.errors import ModelNameInvalid, ModelReferenceInvalid

__all__ = ["ModelReference", "ResolvedModel", "check_alias", "check_model_name"]

_NAME = re.compile(r"[^/:@%\s][^/:@%]*")
_ALIAS = re.compile(r"[A-Za-z][\w-]{0,254}")
_VERSION_LIKE = re.compile(r"v\d+", re.IGNORECASE)
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RUN_ID = re.compile(r"[\w-]{1,256}")


class ModelReference(msgspec.Struct, frozen=True):
    """A reference taken apart; which fields are set says which form it has.

    Parameters
    ----------
    text
        The reference as given.
    name, alias, version
        ``models:/name@alias`` or ``models:/name/version``.
    model_id
        ``models:/m-…``: a logged model, registered or not.
    run_id, path
        ``runs:/run-id/path``: the model of that name in a run.
    """

    text: str
    name: str = ""
    alias: str = ""
    version: int | None = None
    model_id: str = ""
    run_id: str = ""
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "ModelReference":
        """Return the parts of a model reference.

        Raises
        ------
        ModelReferenceInvalid
            It has none of the forms.

        Examples
        --------
        >>> ModelReference.parse("models:/delays@champion").alias
        'champion'
        >>> ModelReference.parse("models:/delays/3").version
        3
        """
        scheme, _, rest = text.partition(":/")
        if scheme == "models" and rest:
            return cls._registered(text, rest)
        if scheme == "runs" and rest:
            run_id, _, path = rest.strip("/").partition("/")
            if not _RUN_ID.fullmatch(run_id) or not path:
                raise ModelReferenceInvalid(text, "a run's model is runs:/run-id/model")
            return cls(text, run_id=run_id, path=path)
        raise ModelReferenceInvalid(text)

    @classmethod
    def _registered(cls, text: str, rest: str) -> "ModelReference":
        if _MODEL_ID.fullmatch(rest):
            return cls(text, model_id=rest)
        name, at, alias = rest.partition("@")
        if at:
            if not _NAME.fullmatch(name) or not _ALIAS.fullmatch(alias):
                raise ModelReferenceInvalid(text, "the name or the alias has a character that is not allowed")
            return cls(text, name=name, alias=alias)
        name, slash, version = rest.partition("/")
        if not slash or not _NAME.fullmatch(name):
            raise ModelReferenceInvalid(text, "neither an alias nor a version is given")
        if not version.isdecimal() or int(version) < 1:
            raise ModelReferenceInvalid(text, f"{version!r} is no version number")
        return cls(text, name=name, version=int(version))


class ResolvedModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reference led to: one exact model that can no longer move.

    Parameters
    ----------
    reference
        The reference that was resolved.
    uri
        The exact reference: ``models:/name/version`` if registered, else ``models:/m-…`` or ``runs:/run-id/path``.
    name, version, alias
        The registered model and version, and the alias that was followed; empty or None if not registered.
    run_id
        The run that made the model; empty if unknown.
    model_id
        MLflow's identifier of the logged model; empty for models of MLflow 2.
    digest
        The SHA-256 over the model's files as it was recorded; empty if nobody recorded one.
    trusted
        Whether this environment's own registry records that digest for one of its versions.
    location
        Where the files are.
    created
        When it was registered or logged, in milliseconds since 1970.
    """

    reference: str
    uri: str
    location: str
    name: str = ""
    version: int | None = None
    alias: str = ""
    run_id: str = ""
    model_id: str = ""
    digest: str = ""
    trusted: bool = False
    created: int = 0


def check_model_name(name: str) -> str:
    """Return the name if it can be that of a registered model.

    Raises
    ------
    ModelNameInvalid
        It cannot, because a reference to it could not be read back.
    """
    if not _NAME.fullmatch(name) or name != name.strip() or len(name) > 200:
        raise ModelNameInvalid(name, "must have 1 to 200 characters and none of / : @ %")
    if _MODEL_ID.fullmatch(name):
        raise ModelNameInvalid(name, "looks like the identifier of a logged model")
    return name


def check_alias(alias: str) -> str:
    """Return the alias if MLflow allows it.

    Raises
    ------
    ModelNameInvalid
        It is no word, or looks like a version, or is the word ``latest``.
    """
    if not _ALIAS.fullmatch(alias) or _VERSION_LIKE.fullmatch(alias) or alias.lower() == "latest":
        raise ModelNameInvalid(
            alias, "must be a word of letters, digits, _ and -, neither latest nor like v3", what="alias"
        )
    return alias

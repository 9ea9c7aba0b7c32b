"""What modelyard.yaml may say, as frozen structs: the parser, the editor's schema and the reference all read these."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

__all__ = [
    "TARGETS",
    "EnvironmentDefinition",
    "FunctionDefinition",
    "Handler",
    "ProjectDefinition",
    "ResourcesDefinition",
]

TARGETS: Final = ("local", "kubernetes")
"""Where an environment can deploy to."""

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_NAME_RULE = "lower-case letters, digits, - and _, beginning with a letter, at most 63"

Name = Annotated[str, Meta(pattern=_NAME, extra={"rule": _NAME_RULE})]
HANDLER = rf"^{_DOTTED}:{_DOTTED}$"
Handler = Annotated[
    str,
    Meta(pattern=HANDLER, extra={"rule": '"package.module:name"'}, examples=["flights.training:fit"]),
]
Module = Annotated[str, Meta(pattern=rf"^{_DOTTED}$", extra={"rule": 'a module such as "flights.features"'})]
Requirement = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][^$\n]*$", extra={"rule": 'a requirement such as "scikit-learn>=1.6"'}),
]
SecretName = Annotated[
    str, Meta(pattern=r"^[A-Z_][A-Z0-9_]*$", extra={"rule": "the name of a variable: capitals, digits and _"})
]
Quantity = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?([kMGTP]i?)?$", extra={"rule": 'an amount such as "4Gi"'})]
Cpu = Annotated[float, Meta(gt=0, extra={"rule": "above 0"})]
Gpu = Annotated[int, Meta(ge=0, extra={"rule": "0 or more"})]
Python = Annotated[str, Meta(min_length=1, extra={"rule": "the name or path of an interpreter"})]
Image = Annotated[
    str, Meta(pattern=r"^[^\s$]+$", extra={"rule": 'an image such as "registry.example.com/flights:1.4"'})
]
Uri = Annotated[str, Meta(min_length=1, extra={"rule": "a URI or a path"})]


class ResourcesDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a function needs of a machine; cluster launchers ask for it."""

    cpu: Annotated[Cpu | None, Meta(description="Processors, such as 2 or 0.5.")] = None
    memory: Annotated[Quantity | None, Meta(description="Memory, such as 4Gi.")] = None
    gpu: Annotated[Gpu | None, Meta(description="Graphics processors.")] = None


class FunctionDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One function of the project, and where it runs."""

    handler: Annotated[Handler, Meta(description="The function, as package.module:name.")]
    description: Annotated[str, Meta(description="One sentence for people.")] = ""
    requirements: Annotated[
        tuple[Requirement, ...],
        Meta(description="Packages of the virtual environment that is made for the function, as pip writes them."),
    ] = ()
    python: Annotated[
        Python | None, Meta(description="The interpreter to run in, instead of an environment made from requirements.")
    ] = None
    image: Annotated[Image | None, Meta(description="The container image that cluster launchers run.")] = None
    resources: Annotated[ResourcesDefinition, Meta(description="What it needs of a machine.")] = ResourcesDefinition()


class EnvironmentDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where work is tracked, kept and deployed; ${VARIABLE} and ${VARIABLE:-default} are filled in when used."""

    tracking: Annotated[
        Uri | None,
        Meta(
            description="MLflow tracking URI. Without it: SQLite in the state folder.", examples=["sqlite:///mlflow.db"]
        ),
    ] = None
    artifacts: Annotated[
        Uri | None,
        Meta(description="Where MLflow keeps files. Without it: beside SQLite, or where the MLflow server says."),
    ] = None
    state: Annotated[
        Uri,
        Meta(description="Folder or URI of the journal, endpoints and results.", examples=["s3://ml-state/flights"]),
    ] = ".modelyard"
    deploy: Annotated[
        dict[str, Any],
        Meta(
            description="Where endpoints run: the target, and whatever that target takes.",
            extra_json_schema={
                "required": ["target"],
                "properties": {
                    "target": {
                        "description": "The kind of place.",
                        "anyOf": [{"enum": list(TARGETS)}, {"pattern": r"\$\{"}],
                    }
                },
            },
        ),
    ] = msgspec.field(default_factory=lambda: {"target": "local"})
    kfp: Annotated[
        dict[str, Any],
        Meta(description="How workflows run on Kubeflow Pipelines: endpoint, image, volumes and others."),
    ] = {}
    python: Annotated[
        Python | None, Meta(description="The interpreter of functions that name neither one nor requirements.")
    ] = None
    secrets: Annotated[
        tuple[SecretName, ...],
        Meta(description="Names of secrets. Values come from the variable NAME, or the file that NAME_FILE names."),
    ] = ()


class ProjectDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A modelyard project: what modelyard.yaml at its root says."""

    name: Annotated[Name, Meta(description=f"The project's name: {_NAME_RULE}.")]
    functions: Annotated[
        dict[Name, FunctionDefinition], Meta(description="Functions that operations run, by name.")
    ] = {}
    features: Annotated[tuple[Module, ...], Meta(description="Modules that define features.")] = ()
    graphs: Annotated[dict[Name, Handler], Meta(description="Serving graphs by name, as package.module:name.")] = {}
    workflows: Annotated[dict[Name, Handler], Meta(description="Workflows by name, as package.module:name.")] = {}
    environments: Annotated[
        dict[Name, EnvironmentDefinition],
        Meta(description="Environments by name; the first is the default. Without any: dev, embedded in .modelyard/."),
    ] = {}

"""What runs per event: graphs of steps and models, pure and without a server."""

from modelyard.graphs.building import Choice, Group, Outlet, Place, Step
from modelyard.graphs.context import Context, Response
from modelyard.graphs.drawing import Drawing
from modelyard.graphs.endpoints import BodyField, Chat, Endpoint, Parameter
from modelyard.graphs.errors import (
    EventInvalid,
    FeatureMissing,
    FeatureWrong,
    FlavorUnsupported,
    GraphInvalid,
    LibraryMissing,
    ModelDigestWrong,
    ModelFilesInvalid,
    ModelNotTrusted,
    OpeningFailed,
    PredictionFailed,
    ResourceMissing,
    StepFailed,
    StepNotFound,
)
from modelyard.graphs.event import Event
from modelyard.graphs.failures import (
    BodyUncopyable,
    CircuitOpen,
    CycleExceeded,
    DeadlineExceeded,
    HandlerFailed,
    KeyUnusable,
    MergeIncomplete,
    OutletUnknown,
    PathMissing,
    PlanClosed,
    QueueFull,
    ReplyRepeated,
    StepTimeout,
    ValueMismatch,
    WorkerLost,
    WorkersUnstartable,
)
from modelyard.graphs.graph import Graph
from modelyard.graphs.group_errors import AnswerWrong, MembersFailed, RouteMissing, RouteUnknown
from modelyard.graphs.groups import NOT_MINE, EnsembleStrategy, RouterStrategy
from modelyard.graphs.mapping import Rows
from modelyard.graphs.models.files import LoadedModel, ModelCard, Predictions, open_model, read_card
from modelyard.graphs.models.rows import matrix_of
from modelyard.graphs.plan import Plan
from modelyard.graphs.ports import Channel, FeatureReader, MetricSink, ModelLoader, Recorder, Resources, SecretSource
from modelyard.graphs.schemas import json_schema
from modelyard.graphs.settings import Cache, CircuitBreaker, Fallback, Retry, StepSettings
from modelyard.graphs.spec import CycleSpec, GraphSpec, HandlerSpec, StepSpec
from modelyard.graphs.tokens import TraceEntry
from modelyard.graphs.tracing import Trace

__all__ = [
    "NOT_MINE",
    "AnswerWrong",
    "BodyField",
    "BodyUncopyable",
    "Cache",
    "Channel",
    "Chat",
    "Choice",
    "CircuitBreaker",
    "CircuitOpen",
    "Context",
    "CycleExceeded",
    "CycleSpec",
    "DeadlineExceeded",
    "Drawing",
    "Endpoint",
    "EnsembleStrategy",
    "Event",
    "EventInvalid",
    "Fallback",
    "FeatureMissing",
    "FeatureReader",
    "FeatureWrong",
    "FlavorUnsupported",
    "Graph",
    "GraphInvalid",
    "GraphSpec",
    "Group",
    "HandlerFailed",
    "HandlerSpec",
    "KeyUnusable",
    "LibraryMissing",
    "LoadedModel",
    "MembersFailed",
    "MergeIncomplete",
    "MetricSink",
    "ModelCard",
    "ModelDigestWrong",
    "ModelFilesInvalid",
    "ModelLoader",
    "ModelNotTrusted",
    "OpeningFailed",
    "Outlet",
    "OutletUnknown",
    "Parameter",
    "PathMissing",
    "Place",
    "Plan",
    "PlanClosed",
    "PredictionFailed",
    "Predictions",
    "QueueFull",
    "Recorder",
    "ReplyRepeated",
    "ResourceMissing",
    "Resources",
    "Response",
    "Retry",
    "RouteMissing",
    "RouteUnknown",
    "RouterStrategy",
    "Rows",
    "SecretSource",
    "Step",
    "StepFailed",
    "StepNotFound",
    "StepSettings",
    "StepSpec",
    "StepTimeout",
    "Trace",
    "TraceEntry",
    "ValueMismatch",
    "WorkerLost",
    "WorkersUnstartable",
    "json_schema",
    "matrix_of",
    "open_model",
    "read_card",
]

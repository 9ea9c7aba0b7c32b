"""The Open Inference Protocol over gRPC."""

from modelyard.serving.rpc.schema import SERVICE
from modelyard.serving.rpc.server import RpcServer

__all__ = ["SERVICE", "RpcServer"]

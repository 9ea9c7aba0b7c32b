"""The Open Inference Protocol over gRPC."""

from modelyard.serving.rpc.schema import SERVICE
from modelyard.serving.rpc.server import RpcServer
from modelyard.serving.rpc.splitting import SplitInterceptor

__all__ = ["SERVICE", "RpcServer", "SplitInterceptor"]

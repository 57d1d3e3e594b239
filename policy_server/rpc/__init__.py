"""gRPC: the Open Inference Protocol's messages, put before the application as requests of HTTP."""

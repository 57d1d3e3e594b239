"""The command line: policy-server, python generate.py."""

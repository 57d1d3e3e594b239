"""Programs of PyTorch, which are read as data: TorchScript and torch.export."""

"""Secrets that are given in files, as Docker and Kubernetes mount them."""


def secret_in(content: bytes) -> str | None:
    """What a file says, less a mark of UTF-8 and the ends of lines at its end; None for nothing."""
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        return None
    return text or None

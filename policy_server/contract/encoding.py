"""The encoding of text files that people send: UTF-8, or a sentence that says what it is."""

SAVE_IT = "Save it as UTF-8"
MARK = b"\xef\xbb\xbf"
"""UTF-8's own mark, which Windows puts before it; it means nothing."""


def not_utf8(content: bytes) -> str | None:
    """What the encoding of a text is, and the remedy, in a sentence; None if it is UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:1000]:
        return (
            "it is text in UTF-16, as `>` of Windows PowerShell and Notepad's `Unicode` write it. "
            f"{SAVE_IT} (PowerShell: `Set-Content -Encoding utf8`)."
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return (
            f"it is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}, as "
            f"Windows-1252 and Latin-1 write letters with accents. {SAVE_IT}."
        )
    return None

"""All that knows the inside of uvicorn, gunicorn and connexion, and stands in for them.

`known.py` says what each adapter relies on beyond what its library documents; `fallbacks.py` looks
at start whether the library has it, and chooses the library's plain behaviour where it has not.
"""

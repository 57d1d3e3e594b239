"""Templates of the generator that are mended before it uses them, by counted replacements.

A generator whose templates have changed does not quietly bring a fault back: the replacement is not
found as often as it was, and the language is reported as failed.
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from policy_server.clients.failure import LanguageFailed


@dataclass(frozen=True)
class Mend:
    """One fault of a template.

    Attributes:
        template: The template's path, inside its generator's folder.
        old: What is there.
        new: What should be.
        count: How often it is there.
    """

    template: str
    old: str
    new: str
    count: int = 1


def mended_templates(jar: Path, folder: str, mends: Iterable[Mend]) -> dict[str, str]:
    """The templates that have faults, mended: path -> text.

    Args:
        jar: The generator, with its templates inside.
        folder: Where the templates of one language lie in it.
        mends: What is wrong with them.

    Raises:
        LanguageFailed: The generator's templates are not those that were mended.
    """
    texts: dict[str, str] = {}
    with zipfile.ZipFile(jar) as archive:
        for mend in mends:
            path = mend.template
            if path not in texts:
                texts[path] = _read(archive, f"{folder}/{path}")
            found = texts[path].count(mend.old)
            if found != mend.count:
                shown = mend.old.strip().splitlines()[0][:60]
                raise LanguageFailed(
                    f"the generator's template {folder}/{path} has changed: `{shown}` was there "
                    f"{mend.count} times and is there {found} times."
                )
            texts[path] = texts[path].replace(mend.old, mend.new)
    return texts


def _read(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return archive.read(name).decode()
    except KeyError as error:
        raise LanguageFailed(f"the generator has no template {name}.") from error

"""Copies what lies at the top level of the checkout, and is no code, into what is installed.

pyproject.toml says everything else.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESOURCES = (
    "swagger.template.yaml",
    "assets/favicon.svg",
    "assets/logo.svg",
    "assets/swagger-ui",
)


class BuildWithResources(build_py):  # type: ignore[misc]  # untyped
    """Puts the resources where policy_server/resources looks for them."""

    def run(self) -> None:
        """Copy the package, then the resources; nothing of an earlier build stays."""
        shutil.rmtree(Path(self.build_lib, "policy_server"), ignore_errors=True)
        super().run()
        if self.editable_mode:  # the package is used where it lies, beside them
            return
        for name in RESOURCES:
            source = Path(name)
            target = Path(self.build_lib, "policy_server/resources", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)


setup(cmdclass={"build_py": BuildWithResources})

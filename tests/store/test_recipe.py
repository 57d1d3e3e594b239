"""CONTRIBUTING's recipe for a store, walked: a file, and a line in the registry."""

from pathlib import Path

from tests.support.house import House

STORE = '''\
"""Versions in another folder than BASE_PATH, which a file there names."""

from pathlib import Path

from policy_server.store.elsewhere import Elsewhere
from policy_server.store.local_folder import LocalFolder

FILE = "elsewhere"


class OtherFolder(LocalFolder):
    """See Store."""

    def __init__(self, base_path: Path, elsewhere: Elsewhere | None = None) -> None:
        super().__init__(Path((base_path / FILE).read_text()), elsewhere)

    @classmethod
    def takes(cls, base_path: Path, elsewhere: Elsewhere | None = None) -> bool:
        return (base_path / FILE).is_file()
'''
IMPORT = "from policy_server.store.local_folder import LocalFolder\n"


def test_a_new_store_has_the_versions_that_are_published_and_served(tmp_path: Path) -> None:
    house = House(tmp_path)
    registry = "policy_server/store/registry.py"
    (house.root / "policy_server/store/other_folder.py").write_text(STORE, encoding="utf-8")
    ours = "from policy_server.store.other_folder import OtherFolder\n"
    house.replace(registry, IMPORT, ours + IMPORT)
    house.replace(
        registry, "(ObjectStorage, LocalFolder)", "(OtherFolder, ObjectStorage, LocalFolder)"
    )
    elsewhere = tmp_path / "elsewhere"
    house.base_path.mkdir()
    (house.base_path / "elsewhere").write_text(str(elsewhere))
    with house.serve() as server:
        answer = server.post("predict", {"warmth": 1})
        assert answer.status_code == 200, answer.text
        (version,) = (elsewhere / "versions").iterdir()
        assert answer.headers["X-Policy-Version"] == version.name
        assert (elsewhere / "active").read_text().strip() == version.name
        assert not {"versions", "active", "workers"} & {
            path.name for path in house.base_path.iterdir()
        }

"""public_files: files that the application writes, and the web server serves below the root of the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from buildless.services.files import Files

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout


class PublicFiles(Files):
    """What the tree's static directory does not have is looked for in ``HOST/`` of it, and then in it."""

    directory = "public_files"
    variable = "CONFIG_PUBLIC_FILES"

    def own(self, home: AppLayout, place: Path) -> None:
        home.node.owners.give_tree(home.name, place, public=True)


SERVICE = PublicFiles()

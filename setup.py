"""What pyproject.toml cannot say: a wheel holds a .pth file beside the packages."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PTH = Path("asterias") / "gymnasium_plugin" / "asterias_gymnasium.pth"


class BuildWithPth(build_py):
    """Copies the file whose line has Gymnasium know our environments."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file(str(PTH), str(Path(self.build_lib) / PTH.name))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        return [*outputs, str(Path(self.build_lib) / PTH.name)]


setup(cmdclass={"build_py": BuildWithPth})

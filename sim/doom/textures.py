"""What mazes look like: sets of textures of the Freedoom data, some of them held out for tests.

The names are lumps of ``freedoom2.wad``, which the ViZDoom wheel brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TextureSet:
    """Walls, floor and ceiling that go together."""

    walls: tuple[str, ...]
    """Each face of a wall shows one of these."""
    floor: str
    ceiling: str


TRAINING: dict[str, TextureSet] = {
    "startan": TextureSet(("STARTAN2", "STARTAN3", "STARG3"), "FLOOR4_8", "CEIL3_5"),
    "brick": TextureSet(("BRICK1", "BRICK2", "BRICK3"), "FLOOR5_2", "CEIL1_1"),
    "big_brick": TextureSet(("BIGBRIK1", "BIGBRIK2", "BIGBRIK3"), "FLOOR7_1", "FLOOR6_2"),
    "brown": TextureSet(("BROWN1", "BROWN96", "BROWNGRN"), "FLOOR0_1", "CEIL5_1"),
    "stone": TextureSet(("STONE2", "STONE3", "STONE6"), "FLAT5_4", "FLAT19"),
    "cement": TextureSet(("CEMENT7", "CEMENT9"), "FLAT20", "FLOOR0_3"),
    "gray": TextureSet(("GRAY1", "GRAYBIG", "GRAY7"), "FLAT3", "CEIL5_2"),
    "tan_rock": TextureSet(("TANROCK2", "TANROCK4", "TANROCK5"), "GRASS1", "RROCK09"),
    "metal": TextureSet(("METAL1", "METAL2", "SHAWN2"), "FLOOR3_3", "FLAT23"),
    "space": TextureSet(("SPACEW2", "SPACEW3", "SPACEW4"), "CEIL5_1", "FLAT1"),
    "zimmer": TextureSet(("ZIMMER1", "ZIMMER3", "ZIMMER7"), "RROCK16", "RROCK13"),
    "bronze": TextureSet(("BRONZE1", "BRONZE2", "BRONZE3"), "FLAT1_1", "FLAT5"),
}
HELD_OUT: dict[str, TextureSet] = {
    "marble": TextureSet(("MARBLE1", "MARBLE2", "MARBLE3"), "FLOOR7_2", "DEM1_6"),
    "wood": TextureSet(("WOOD1", "WOOD3", "WOOD12"), "FLAT5_1", "CEIL1_3"),
    "tek": TextureSet(("TEKGREN1", "TEKGREN2", "TEKGREN5"), "FLAT14", "FLOOR4_6"),
    "ash": TextureSet(("ASHWALL2", "ASHWALL4", "ASHWALL7"), "MFLR8_4", "FLAT10"),
    "red_wall": TextureSet(("REDWALL", "SP_HOT1"), "FLOOR6_1", "RROCK03"),
    "panel": TextureSet(("PANEL1", "PANEL4", "PANEL5"), "FLAT8", "FLOOR1_1"),
}
TEXTURE_SETS = TRAINING | HELD_OUT
GROUPS = {"training": tuple(TRAINING), "held_out": tuple(HELD_OUT)}
LIGHT = (112, 232)
"""Least and greatest light of a sector that :func:`choose_look` draws, of 0 to 255."""


@dataclass(frozen=True)
class Look:
    """How one maze looks."""

    textures: str = "startan"
    """Name of a texture set."""
    light: int = 192
    """Light of the whole maze, 0 (dark) to 255."""
    seed: int = 0
    """Decides which of the set's textures each face of a wall shows."""

    def __post_init__(self) -> None:
        if self.textures not in TEXTURE_SETS:
            raise ValueError(
                f"textures are {self.textures!r}: choose one of {', '.join(TEXTURE_SETS)}."
            )
        if not 0 <= self.light <= 255:
            raise ValueError(f"light is {self.light}: give 0 (dark) to 255.")

    @property
    def texture_set(self) -> TextureSet:
        """The textures themselves."""
        return TEXTURE_SETS[self.textures]


def choose_look(textures: str, seed: int, light: int = -1) -> Look:
    """Return the look that a seed draws.

    ``textures``: ``training`` or ``held_out`` for any set of that group, or the name of a set.
    ``light``: 0 to 255, or -1 to draw it too. Raises ``ValueError`` for an unknown name.
    """
    random = np.random.default_rng([0xD003, seed])
    names = GROUPS.get(textures, (textures,))
    if names == (textures,) and textures not in TEXTURE_SETS:
        raise ValueError(
            f"textures are {textures!r}: choose {', '.join(GROUPS)}, "
            f"or a set: {', '.join(TEXTURE_SETS)}."
        )
    name = names[int(random.integers(len(names)))]
    drawn = int(random.integers(LIGHT[0], LIGHT[1] + 1))
    return Look(name, drawn if light < 0 else light, seed)

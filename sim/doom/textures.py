"""What mazes look like: textures of the Freedoom data, some held out for tests, or drawn by a seed.

The names are lumps of ``freedoom2.wad``, which the ViZDoom wheel brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asterias.arrays import ImageArray
from sim.doom.patterns import pattern_set


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
MIXED = "mixed"
"""Walls, floor and ceiling that a seed draws from all textures for training, and from more."""
UNSEEN = "unseen"
"""Walls, floor and ceiling that a seed draws from textures that are in no other set or mix: for a
last test, where the sets held out have been looked at while a mapper was made better."""
GENERATED = "generated"
"""Walls, floor and ceiling that are drawn by a seed (:mod:`sim.doom.patterns`)."""
GROUPS = {
    "training": tuple(TRAINING),
    "varied": (*TRAINING, *[MIXED] * len(TRAINING)),
    "held_out": tuple(HELD_OUT),
    UNSEEN: (UNSEEN,),
    "any": (*TRAINING, *[MIXED] * len(TRAINING), *[GENERATED] * 2 * len(TRAINING)),
}
_MORE_WALLS = (
    "STARG1 STARG2 STARGR1 STARBR2 BROWNHUG BROWN144 BROWNPIP STONE4 STONE5 STONE7 "
    "CEMENT1 CEMENT2 CEMENT6 GRAY4 GRAYTALL GRAYVINE TANROCK7 TANROCK8 METAL3 METAL5 "
    "SHAWN1 ZIMMER2 ZIMMER5 ZIMMER8 BRONZE4 BSTONE1 BSTONE2 BSTONE3 BRICK5 BRICK6 BRICK7 "
    "BRICK8 BRICK10 BRICK11 BRICK12 BLAKWAL1 BLAKWAL2 COMPBLUE COMPSPAN CRACKLE2 GSTONE1 "
    "GSTONE2 GSTVINE1 ICKWALL1 ICKWALL3 ICKWALL5 MODWALL1 MODWALL2 MODWALL3 PIPE2 "
    "PIPEWAL1 PLAT1 ROCK1 ROCK2 ROCK3 ROCK4 SILVER1 SILVER2 SILVER3 SKIN2 SLADWALL STUCCO "
    "STUCCO1 STUCCO3 SUPPORT2 SUPPORT3 CRATE1 CRATE2 NUKEDGE1 AQBRIK01 AQBRIK03 AQCONC01 "
    "AQCONC05 AQCONC14 AQMETL03 AQMETL14 AQPANL01 AQPANL05 AQPIPE07 AQRUST01 AQRUST06 "
    "AQSECT01 AQSECT08 AQTILE01 A-BRICK1 A-CONCTE A-MOSBRI A-ROCK A-TILE"
)
_MORE_FLATS = (
    "FLOOR0_2 FLOOR0_6 FLOOR1_6 FLOOR1_7 FLOOR4_1 FLOOR4_5 FLOOR5_1 FLOOR5_3 FLOOR5_4 "
    "FLAT1_2 FLAT1_3 FLAT2 FLAT4 FLAT5_2 FLAT5_5 FLAT5_6 FLAT5_7 FLAT9 FLAT17 FLAT18 "
    "FLAT22 CEIL3_1 CEIL3_2 CEIL3_3 CEIL3_6 CEIL4_1 CEIL4_2 CEIL1_2 RROCK10 RROCK11 "
    "RROCK14 RROCK17 RROCK19 MFLR8_1 MFLR8_2 MFLR8_3 DEM1_1 DEM1_2 GRASS2 SLIME13 SLIME15 "
    "GRNROCK AQF001 AQF006 AQF012 AQF018 AQF024 AQF030 AQF036 AQF042 AQF048 AQF054 AQF060 "
    "AQF066"
)
_POOL_OF_WALLS = [*_MORE_WALLS.split(), *(wall for one in TRAINING.values() for wall in one.walls)]
_POOL_OF_FLATS = [
    *_MORE_FLATS.split(),
    *(flat for one in TRAINING.values() for flat in (one.floor, one.ceiling)),
]
_UNSEEN_WALLS = (
    "A-ASKIN1 A-BROCK2 A-CAMO1 A-CAMO3 A-DROCK1 A-MARBLE A-MUD A-REDROK A-WOOD1 A-YELLOW "
    "AQCOMP01 AQDIRT01 AQDOOR01 AQLITE01 AQLITE10 AQSUPP01 AQTRIM01 BIGDOOR2 BIGDOOR5 "
    "BRNSMAL1 CAVERN1 COMP2 COMPSTA1 COMPTALL COMPUTE1 CRATELIT DOOR1 DOOR3 ESPIBR1 ESPIG1 "
    "ESPIGR1 ESPITAN1 FIREBLU1 FIREWALL GSTGARG GSTLION GSTSATYR LITE3 LITE5 LITEBLU1 "
    "MARBFAC2 MARBFACE PANBOOK PANCASE1 ROCKRED1 SKINMET1 SKSNAKE1 SKSPINE1 SPCDOOR1 SPCDOOR3 "
    "SP_DUDE1 SP_FACE1 STEPTOP SW1COMP SW1SKULL SW1WOOD TEKBRON1 TEKLITE TEKWALL1 TEKWALL4 "
    "WOODGARG WOODMET1 WOODMET2 ZZWOLF1 ZZWOLF5 ZZWOLF9"
)
_UNSEEN_FLATS = (
    "AQF003 AQF014 AQF022 AQF035 AQF047 AQF058 AQF069 BLOOD1 CEIL3_4 CEIL4_3 CEIL5_3 COMP01 "
    "CONS1_1 CRATOP1 DEM1_3 DEM1_5 FLAT5_3 FLAT5_8 FLOOR0_5 FLOOR0_7 FWATER1 GATE1 GRNLITE1 "
    "LAVA1 NUKAGE1 RROCK01 RROCK05 RROCK08 RROCK15 SFLR6_1 SFLR7_1 SLIME01 SLIME09 SLIME14 "
    "STEP1 TLITE6_1"
)
_POOLS = {
    MIXED: (_POOL_OF_WALLS, _POOL_OF_FLATS),
    UNSEEN: (_UNSEEN_WALLS.split(), _UNSEEN_FLATS.split()),
}
_DRAWN = (*_POOLS, GENERATED)
_WALLS_IN_A_MIX = 3
LIGHT = (112, 232)
"""Least and greatest light of a sector that :func:`choose_look` draws, of 0 to 255."""


@dataclass(frozen=True)
class MazeAppearance:
    """How one maze looks."""

    textures: str = "startan"
    """Name of a texture set."""
    light: int = 192
    """Light of the whole maze, 0 (dark) to 255."""
    seed: int = 0
    """Decides which of the set's textures each face of a wall shows."""

    def __post_init__(self) -> None:
        if self.textures not in (*TEXTURE_SETS, *_DRAWN):
            raise ValueError(
                f"textures are {self.textures!r}: choose one of "
                f"{', '.join((*_DRAWN, *TEXTURE_SETS))}."
            )
        if not 0 <= self.light <= 255:
            raise ValueError(f"light is {self.light}: give 0 (dark) to 255.")

    @property
    def texture_set(self) -> TextureSet:
        """The textures themselves."""
        if self.textures == GENERATED:
            *walls, floor, ceiling = _generated_names(self.seed)
            return TextureSet(tuple(walls), floor, ceiling)
        if self.textures in _POOLS:
            return _mix(self.seed, *_POOLS[self.textures])
        return TEXTURE_SETS[self.textures]

    def generated(self) -> dict[str, ImageArray]:
        """Return the textures by name that the game's data do not have; none but in ``generated``.

        A maze has as many as it names: walls, floor and ceiling, ``(64, 64, 3)`` each.
        """
        if self.textures != GENERATED:
            return {}
        names = _generated_names(self.seed)
        return dict(zip(names, pattern_set(self.seed, len(names)), strict=True))


def _generated_names(seed: int) -> list[str]:
    """Return the names of a seed's walls, floor and ceiling: eight letters, as lumps have."""
    number = np.base_repr(seed % 36**6, 36).zfill(6)
    return [f"G{number}{k}" for k in range(_WALLS_IN_A_MIX + 2)]


def _mix(seed: int, of_walls: list[str], of_flats: list[str]) -> TextureSet:
    random = np.random.default_rng([0x313, seed])
    walls = random.choice(of_walls, _WALLS_IN_A_MIX, replace=False).tolist()
    floor, ceiling = random.choice(of_flats, 2, replace=False).tolist()
    return TextureSet(tuple(walls), floor, ceiling)


def choose_look(textures: str, seed: int, light: int = -1) -> MazeAppearance:
    """Return the look that a seed draws.

    Args:
        textures: ``training`` for any set for training, ``varied`` for one of these or, as often, a
            mix, ``any`` for these or, as often, drawn textures, ``held_out`` for any set that no
            training sees, ``unseen`` for a mix of textures that are in no set, or the name of one.
        seed: of the draw.
        light: 0 to 255, or -1 to draw it too.

    Raises:
        ValueError: a name is unknown, or the light out of range.
    """
    random = np.random.default_rng([0xD003, seed])
    names = GROUPS.get(textures, (textures,))
    if names == (textures,) and textures not in (*TEXTURE_SETS, *_DRAWN):
        raise ValueError(
            f"textures are {textures!r}: choose {', '.join(GROUPS)}, "
            f"or a set: {', '.join(TEXTURE_SETS)}."
        )
    name = names[int(random.integers(len(names)))]
    drawn = int(random.integers(LIGHT[0], LIGHT[1] + 1))
    return MazeAppearance(name, drawn if light < 0 else light, seed)

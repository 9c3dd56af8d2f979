"""Whether episodes can be one data set."""

from __future__ import annotations

from collections.abc import Sequence

from asterias.errors import UserError
from learning.recordings.sampling import SampledEpisode, camera_key


def check_alike(episodes: Sequence[SampledEpisode]) -> None:
    """Check that episodes can be one data set.

    Raises:
        UserError: there are none, or they do not fit together.
    """
    if not episodes:
        raise UserError("There is no episode to export.")
    first = episodes[0]
    for episode in episodes[1:]:
        for name, mine, other in (
            ("joints", first.joint_names, episode.joint_names),
            ("cameras", sorted(first.pictures), sorted(episode.pictures)),
            ("sizes of pictures", first.shapes, episode.shapes),
            ("frames per second", first.fps, episode.fps),
        ):
            if mine != other:
                raise UserError(
                    f"{episode.recording.path} has other {name} than {first.recording.path}: "
                    f"{other} instead of {mine}; export them apart, or choose with --topics and "
                    "--without."
                )
    names = [camera_key(topic) for topic in first.pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"{first.recording.path} has several topics of {', '.join(twice)}; choose one with "
            "--topics or --without."
        )

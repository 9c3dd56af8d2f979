"""Jobs side by side: in this process, in processes of this machine, on a Ray cluster."""

from asterias.jobs.folders import complete_folders
from asterias.jobs.options import JobOptions
from asterias.jobs.runner import JobRunner, OnJobProgress, TellJob, ignore_progress

__all__ = [
    "JobOptions",
    "JobRunner",
    "OnJobProgress",
    "TellJob",
    "complete_folders",
    "ignore_progress",
]

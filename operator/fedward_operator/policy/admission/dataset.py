"""Which data: the dataset asked for has to be offered, and laid out as the job expects."""

from __future__ import annotations

from fedward_operator.api.policy import SitePolicySpec, Volume
from fedward_operator.policy.admission.verdict import Refused
from fedward_protocol.plan import Data


def dataset_of(data: Data, policy: SitePolicySpec) -> Volume | Refused:
    """Return where the dataset lies."""
    for dataset in policy.datasets:
        if dataset.name != data.dataset:
            continue
        if dataset.format is not None and data.format not in ("auto", dataset.format):
            text = f'the dataset "{dataset.name}" is {dataset.format} and the job asks for {data.format}'
            return Refused("DatasetFormatMismatch", text)
        return dataset.volume
    return Refused("DatasetNotOffered", f'the site offers no dataset "{data.dataset}"')

"""Who has which patients: the demo's four sites, and the thirteen of the 2019 paper's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedward_cli.phantom.tumour import Grade

Part = Literal["training", "validation"]


@dataclass(frozen=True, slots=True)
class Grades:
    """How many patients have which grade of tumour."""

    high: int
    low: int

    @property
    def total(self) -> int:
        """All patients."""
        return self.high + self.low

    def grade(self, index: int) -> Grade:
        """Give the grade of patient `index`, so that both grades are spread evenly over the list."""
        return "high" if (index + 1) * self.high // self.total > index * self.high // self.total else "low"


@dataclass(frozen=True, slots=True)
class Site:
    """One made-up hospital.

    Attributes:
        number: 1 and up; part of its patients' names and of their random seeds.
        blur, noise: its scanner's, in voxels and in intensity; None draws them by the seed.
    """

    name: str
    number: int
    training: Grades
    held_out: Grades
    blur: float | None = None
    noise: float | None = None

    def patients(self) -> tuple[Patient, ...]:
        """List its patients: those to train on, then those held out."""
        parts: tuple[tuple[Part, Grades], ...] = (("training", self.training), ("validation", self.held_out))
        return tuple(
            Patient(self, part, index, grades.grade(index)) for part, grades in parts for index in range(grades.total)
        )


@dataclass(frozen=True, slots=True)
class Patient:
    """One made-up patient; what it looks like depends on the seed, its site's number, its part and its index alone."""

    site: Site
    part: Part
    index: int
    grade: Grade

    @property
    def number(self) -> int:
        """A number that no other patient of the federation has: 3012 is site 3's twelfth, 3501 its first held out."""
        return self.site.number * 1000 + (500 if self.part == "validation" else 0) + self.index + 1


@dataclass(frozen=True, slots=True)
class Cohort:
    """All sites of a made-up federation."""

    name: str
    sites: tuple[Site, ...]

    def patients(self) -> tuple[Patient, ...]:
        """List every site's patients."""
        return tuple(patient for site in self.sites for patient in site.patients())


_DEMO = (
    # High-grade share .9, .75, .5, .3: who is small also sees other patients, and has the poorer scanner.
    Site("north", 1, Grades(18, 2), Grades(5, 1), blur=0.0, noise=0.04),
    Site("south", 2, Grades(8, 2), Grades(4, 2), blur=0.5, noise=0.07),
    Site("east", 3, Grades(3, 3), Grades(3, 3), blur=0.0, noise=0.12),
    Site("west", 4, Grades(1, 3), Grades(2, 4), blur=0.9, noise=0.10),
)

_TABLE = (
    # (training: high, low), (held out: high, low); the training totals are the paper's
    ((65, 12), (11, 2)),
    ((29, 3), (5, 1)),
    ((12, 18), (2, 3)),
    ((18, 2), (4, 0)),
    ((10, 8), (2, 1)),
    ((12, 1), (2, 0)),
    ((8, 3), (1, 1)),
    ((4, 7), (1, 1)),
    ((8, 1), (2, 0)),
    ((4, 3), (0, 1)),
    ((3, 3), (0, 1)),
    ((4, 1), (1, 0)),
    ((2, 1), (0, 1)),
)


def demo(sites: int = len(_DEMO)) -> Cohort:
    """Give the first `sites` of the demo's: north, south, east, west with 20, 10, 6, 4 training cases, 6 held out each.

    Raises:
        ValueError: there are not so many.
    """
    if not 1 <= sites <= len(_DEMO):
        raise ValueError(f"the demo has 1 to {len(_DEMO)} sites, not {sites}; --table gives the 13 of the paper")
    return Cohort("demo", _DEMO[:sites])


def table() -> Cohort:
    """Give 13 sites with the counts of Li et al. (2019): 242 training cases (179 high, 63 low grade), 43 held out."""
    rows = enumerate(_TABLE, start=1)
    sites = (Site(f"site-{n:02}", n, Grades(*training), Grades(*held_out)) for n, (training, held_out) in rows)
    return Cohort("table", tuple(sites))

"""How releases lay their files out, one release a file."""

from fedward_node.trainer.data.layouts.brats2018 import BRATS2018
from fedward_node.trainer.data.layouts.brats2021 import BRATS2021
from fedward_node.trainer.data.layouts.brats2023 import BRATS2023
from fedward_node.trainer.data.layouts.decathlon import DECATHLON_TASK01

__all__ = ["BRATS2018", "BRATS2021", "BRATS2023", "DECATHLON_TASK01"]

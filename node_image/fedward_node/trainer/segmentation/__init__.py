"""The built-in task: segment a tumour's regions WT, TC and ET with a network of MONAI's."""

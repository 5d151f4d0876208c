"""Models and updates as safetensors files that are never held in memory whole."""

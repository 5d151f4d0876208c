"""The gateway: the hospital's only way out. Holds the key, filters what leaves, and writes down what left."""

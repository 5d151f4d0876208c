"""Whether a hub or a hospital works: one small look a file, by a pod of its own or from an administrator's machine."""

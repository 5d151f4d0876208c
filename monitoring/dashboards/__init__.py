"""What is shown: the federation to who runs the hub, a job to who wants its model, a hospital to its own people."""

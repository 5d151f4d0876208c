"""What Fedward costs, measured with its own processes on this machine, beside a bare gRPC stream."""

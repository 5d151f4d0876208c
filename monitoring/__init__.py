"""What Fedward's dashboards show and its alerts watch, as code; `make dashboards` writes it into the charts."""

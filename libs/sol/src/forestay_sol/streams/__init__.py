"""What services read of each other's streams. An event type lives here when another service than its owner folds it."""

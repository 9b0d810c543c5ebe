"""Contents that Forestay fetches itself: the policy of where it may connect to, the client, the worker."""

"""Who does what LCM wants done elsewhere: VIMs, and an NFVO."""

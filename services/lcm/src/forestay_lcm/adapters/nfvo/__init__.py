"""An external NFVO: it grants, and has packages that nobody has onboarded here (docs/grants.md)."""

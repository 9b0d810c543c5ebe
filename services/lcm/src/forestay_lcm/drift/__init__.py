"""Drift: what a VIM has that the log does not know, and the other way round. It is told; only orphans are removed here.

:mod:`watch` goes round; :mod:`places` says which clouds there are and who lives in each, :mod:`comparison` compares one, with a
:mod:`breaker` for each VIM; :mod:`orphans` finds what is nobody's. :mod:`finding` is the aggregate, :mod:`records` what is
known. Policies may have healed what is lost (:mod:`forestay_lcm.requests`).
"""

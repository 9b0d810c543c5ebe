"""What each command leads to, by subject. All pure; :mod:`forestay_lcm.domain.decide` knows which is whose."""

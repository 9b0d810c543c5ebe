"""The OpenStack driver. What an operator can set, and what is made of a VNF package: docs/openstack.md.

* An operation's steps: :mod:`steps`, one handler each; :mod:`executor` finds the cloud and the order for them (:mod:`orders`,
  :mod:`job`, :mod:`connections`).
* What a stack is made of, pure: :mod:`template`.
* What is read back, pure: :mod:`view`, :mod:`read_back`, :mod:`addresses`, :mod:`groups`, :mod:`hidden`.
* What is beside the stack: :mod:`images` (:mod:`packaged`), :mod:`snapshots`.
* For the comparison with the log (:mod:`forestay_lcm.drift`): :mod:`looking`, :mod:`inventory`.
* Who speaks to OpenStack: :mod:`clients`.
"""

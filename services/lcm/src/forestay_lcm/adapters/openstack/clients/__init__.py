"""Who speaks to OpenStack. Nothing here knows of templates, steps or VNFs; a session and its tokens serve a whole process.

* One OpenStack as one user of one project sees it: :mod:`cloud`; its user: :mod:`credentials`, :mod:`keystone`,
  :mod:`oauth_heat`.
* A client for each service: :mod:`heat`, :mod:`nova`, :mod:`neutron`, :mod:`cinder`, :mod:`glance`.
* What they have in common: :mod:`transport` (calls and failures), :mod:`paging` and :mod:`picking` (lists), :mod:`telling`
  (reasons), :mod:`pace` (how often those who wait look), :mod:`sharing` and :mod:`keeping` (tokens).
"""

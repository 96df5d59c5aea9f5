"""The `jackfield` command: `main` finds the verb, each verb is a module of its own, imported when it is used.

Verbs that talk to a running switch use the protocols any client would: OpenFlow on `<rundir>/<bridge>.mgmt`
(`openflow_client`) and the control socket that ovs-appctl uses (`target`). They never import numba.
"""

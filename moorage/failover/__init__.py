"""DNS failover: keep the registry's records pointing to the servers that are up.

``agent`` and its imports run on a machine that has only Python: import nothing but the standard
library, dnspython and, for its providers, dns-lexicon.
"""

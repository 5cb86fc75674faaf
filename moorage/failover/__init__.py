"""Keeps the registry's name on the servers that work.

``agent`` and what it imports run on a machine that has nothing but Python: no import from outside
the standard library, dnspython and, for its providers, dns-lexicon.
"""

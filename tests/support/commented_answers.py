"""An answers file with comments."""

TEXT = """\
# Our registry.
version: 1

registry:   # the name people know
  domain: registry.example.test
credentials:
  # the CI system
  users:
    - {name: ci, access: push, password: {env: CI_PW}}
    - {name: ana, access: pull, password: {generate: true}}

# Where it runs.
servers:
  - host: one.example.test
    user: root  # for now
"""

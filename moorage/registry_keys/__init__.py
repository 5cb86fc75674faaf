"""The registry's configuration keys, and which of them operators are allowed to set.

The registry is CNCF distribution; its keys are documented in "Configuring a registry",
https://distribution.github.io/distribution/about/configuration/.
"""

from moorage.registry_keys.check import check_environment, check_registry, check_settings
from moorage.registry_keys.contradictions import merged, redirects
from moorage.registry_keys.draft_check import check_draft, check_loaded
from moorage.registry_keys.environment import Translated, environment_to_settings, plain_variables
from moorage.registry_keys.paste import paste_s3_environment, paste_variables
from moorage.registry_keys.secret_values import secret_fault, secret_variables
from moorage.registry_keys.tree import VERSIONS, Version
from moorage.registry_keys.version import registry_version, registry_versions, version_of

__all__ = [
    "VERSIONS",
    "Translated",
    "Version",
    "check_draft",
    "check_environment",
    "check_loaded",
    "check_registry",
    "check_settings",
    "environment_to_settings",
    "merged",
    "paste_s3_environment",
    "paste_variables",
    "plain_variables",
    "redirects",
    "registry_version",
    "registry_versions",
    "secret_fault",
    "secret_variables",
    "version_of",
]

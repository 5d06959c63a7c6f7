"""What a user declares: pydantic models, the rules between their fields, and their problems.

The source of validation, argument types, documentation and change classes. No I/O, and no
knowledge of engines, Kubernetes objects or Pulumi.
"""

from modelfleet.spec.proxy import ModelProxySpec
from modelfleet.spec.service import ModelServiceSpec
from modelfleet.spec.validation import problems_of, spec_of

__all__ = ["ModelProxySpec", "ModelServiceSpec", "problems_of", "spec_of"]

"""The conformance kit: what the core relies on in an adapter, as named checks.

``check_adapter`` runs them in order; each is a function ``check_<promise>(case)`` that raises
``BrokenPromise``.
"""

from anymae.checks.case import BrokenPromise, Case
from anymae.checks.kit import CHECKS, Finding, Report, check_adapter

__all__ = ["CHECKS", "BrokenPromise", "Case", "Finding", "Report", "check_adapter"]

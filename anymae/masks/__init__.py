"""Which tokens are seen and which are asked: one primitive, ``select(priority, groups, budget)``.

Priorities order tokens (low is seen first), groups tie tokens that are hidden together, budgets
say how many; a ``Mask`` is one choice of each.
"""

from anymae.masks.budgets import Budget
from anymae.masks.groups import Groups
from anymae.masks.lines import LinePriority
from anymae.masks.mask import Mask, Roles, Scope
from anymae.masks.order import OrderPriority
from anymae.masks.places import FilteredPriority, NearestPriority, SpanPriority
from anymae.masks.priorities import Priority
from anymae.masks.select import select

__all__ = [
    "Budget",
    "FilteredPriority",
    "Groups",
    "LinePriority",
    "Mask",
    "NearestPriority",
    "OrderPriority",
    "Priority",
    "Roles",
    "Scope",
    "SpanPriority",
    "select",
]

"""Joint pretraining: several modalities of one sample as one packed sequence."""

from anymae.joint.adapter import JointAdapter as JointAdapter

__all__ = ["JointAdapter"]

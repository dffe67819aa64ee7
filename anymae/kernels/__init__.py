"""Tensors in, tensors out: the operations worth a kernel, each beside its plain definition.

Nothing here imports anything else of anymae.
"""

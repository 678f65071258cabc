"""A part of a large shop on which trials are quick."""

import numpy as np

from app.learning.dataset import Dataset


def sample_subjects(dataset: Dataset, most: int, rng: np.random.Generator) -> Dataset:
    """The data set with the interactions of randomly chosen subjects, about `most` of them; whole if smaller.

    Rows and columns stay what they are; subjects that were not chosen have no interactions.
    """
    log = dataset.log
    if len(log) <= most:
        return dataset
    counts = np.bincount(log.subject, minlength=dataset.n_subjects)
    order = rng.permutation(dataset.n_subjects)
    chosen = np.zeros(dataset.n_subjects, dtype=np.bool_)
    chosen[order[np.cumsum(counts[order]) <= most]] = True
    return dataset.with_log(log.where(chosen[log.subject]), dataset.as_of)

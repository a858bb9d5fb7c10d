"""Metrics as CLU metrics (`empty`, `merge`, `compute`), exact however the rows were cut: numpy in float64, on the host.

Two kinds. Sums (means, counts, calibration, residuals) merge by adding. What needs every row at once (curves, areas
under them, retrieval) holds rows and merges by putting them together; its result is the same in any order of merging.

Letters: B rows, C classes, K numbers of a row, E width of an embedding, T thresholds of a curve, N bins.
Rows of weight zero count nothing; other weights are scikit-learn's sample weights.
"""

from train.metrics.mean import Bits, Mean, Perplexity
from train.metrics.problems import classification, multilabel, regression, retrieval

__all__ = ["Bits", "Mean", "Perplexity", "classification", "multilabel", "regression", "retrieval"]

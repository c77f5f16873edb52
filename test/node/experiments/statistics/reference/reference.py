"""Reference values for the statistics of experiments, from the published formulas and with no code of SHIM.

Waudby-Smith and Ramdas (arXiv 2010.09686): hedged capital with the predictable plug-in bets
  lambda_t = sqrt(2 ln(2 / alpha) / (variance_{t-1} * t * ln(t + 1))), or with n instead of t ln(t + 1),
  mean_t = (1/2 + sum x) / (t + 1), variance_t = (1/4 + sum (x_i - mean_i)^2) / (t + 1), c = 3/4.
Lindon and Malek (arXiv 2011.03567): Dirichlet-multinomial Bayes factor, concentration 100.

Run: python3 reference.py > reference.json (needs numpy and scipy)
"""
import json

import numpy as np
from scipy.special import gammaln


def capital(x, m, alpha, n):
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    pace = t * np.log(t + 1) if n is None else np.maximum(n, t)
    bet = np.sqrt(2 * np.log(2 / alpha) / (before * pace))
    with np.errstate(divide="ignore"):
        m = np.float64(m)
        up, down = np.minimum(bet, 0.75 / m), np.minimum(bet, 0.75 / (1 - m))
    return np.cumprod(1 + up * (x - m)), np.cumprod(1 - down * (x - m))


def interval(x, alpha, n, grid):
    low = high = None
    for m in grid:
        up, down = capital(x, m, alpha, n)
        if up.max() >= 2 / alpha:
            low = m
        if high is None and down.max() >= 2 / alpha:
            high = m
    return [0.0 if low is None else low, 1.0 if high is None else high]


def scores(treated, y, p, expected):
    t = np.arange(len(y))
    baseline = (expected + np.concatenate([[0], np.cumsum(y)[:-1]])) / (1 + t)
    return np.where(treated, 1 / p, -1 / (1 - p)) * (y - baseline)


def imbalance(shares, counts):
    shares, counts, k = np.array(shares), np.array(counts), 100
    return float(
        gammaln(k) - gammaln(k + counts.sum()) + (gammaln(k * shares + counts) - gammaln(k * shares)).sum()
        - (counts * np.log(shares)).sum()
    )


source = np.random.default_rng(20261122)
samples = {
    "coin": source.integers(0, 2, 400).astype(float),
    "rare": (source.random(400) < 0.03).astype(float),
    "skewed": np.round(source.beta(1, 9, 400), 6),
}
means = [0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.95]
grid = [round(i / 100, 2) for i in range(101)]
sequences = []
for name, x in samples.items():
    for alpha, n in [(0.05, None), (0.05, 400), (0.001, 100)]:
        up, down = zip(*[capital(x[:50], m, alpha, n) for m in means])
        sequences.append({
            "sample": name, "alpha": alpha, "horizon": n,
            # Capital before any has sufficed, which SHIM keeps as it was.
            "above": [float(one[-1]) if one.max() < 2 / alpha else None for one in up],
            "below": [float(one[-1]) if one.max() < 2 / alpha else None for one in down],
            "intervals": {str(k): interval(x[:k], alpha, n, grid) for k in (10, 50, 150, 400)},
        })
treated = source.random(400) < 0.3
randomized = {"probability": 0.3, "expected": 0.2, "treated": treated.astype(int).tolist(),
              "scores": scores(treated, samples["skewed"], 0.3, 0.2).tolist()}
ratios = [{"shares": s, "counts": c, "ln": imbalance(s, c)} for s, c in [
    ([0.5, 0.5], [0, 0]), ([0.5, 0.5], [1, 0]), ([0.5, 0.5], [700, 500]), ([0.9, 0.1], [900, 100]),
    ([0.9, 0.1], [9000, 1200]), ([0.2, 0.3, 0.5], [100, 300, 500]), ([0.5, 0.5], [500000, 503000])]]
print(json.dumps({"samples": {k: v.tolist() for k, v in samples.items()}, "means": means, "grid": grid,
                  "sequences": sequences, "randomized": randomized, "ratios": ratios}))

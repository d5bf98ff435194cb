"""What the paper reports, in one place.

HexAGenT: Efficient Agentic LLM Serving via Workflow- and Heterogeneity-Aware Scheduling. You Peng, Youhe Jiang,
Wenshuang Li, Xu Xu, Ke Zhou, Jiawei Jiang, Chen Wang, Binhang Yuan. arXiv 2605.16637v1, 15 May 2026. Reductions are
shares of the baseline's SLO scale; "Req95" is the scale that 95 % of the workflows meet.
"""

from __future__ import annotations

from hexsched.baselines import BASELINES as BASELINES
from hexsched.baselines import HEXAGENT as HEXAGENT

CITATION = "Peng et al., HexAGenT, arXiv 2605.16637v1 (15 May 2026)"

# the set-up, as far as it is published
MODELS = ("llama-3.1-70b", "qwen3-235b-a22b")
WORKLOADS = ("sharegpt", "bfcl", "lats", "mixed")
WORKFLOWS = (100, 400)  # least and most in a run
INSTANCES = (16, 20)  # least and most in a cluster

MEAN_REDUCTION = {"req95": 0.201, "req99": 0.330}  # all settings; against whom is not said
LARGEST_REDUCTION = {"req95": 0.450, "req99": 0.805}
HETERO_REDUCTION = {"req95": 0.130, "req99": 0.245}  # heterogeneous clusters, against the strongest baseline

# Qwen3-235B-A22B on Hetero-1, the strongest baseline and HexAGenT; which workload is not said
QWEN_HETERO_1 = {"req95": (5.60, 4.48), "req99": (7.22, 4.69)}
# the same cluster, Mixed: Workflow-LLF and HexAGenT
QWEN_HETERO_1_MIXED_LLF = {"req99": (8.96, 3.94)}

DECISION_MS = (7.1, 14.7)  # a scheduler invocation on heterogeneous clusters, least and largest mean
ESTIMATE_ERRORS = (0.10, 0.30)  # of prefill and decode times; "Req99 degrades moderately"

"""Every term of the page in one place: what it is called, what it means, where it is measured.

Words of the page are matched with ``forms``; whatever shows a text gets the explanations of the
terms in it from here. ``japanese.json`` holds names, explanations and forms in Japanese.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One term.

    Args:
        name: the term itself.
        text: one or two sentences for a person who has not read the paper.
        forms: how it stands in the texts of the page, apart by ``|``; a plural s is understood.
        number: the end of the name of the series that holds its current value; "" for none.
    """

    name: str
    text: str
    forms: str
    number: str = ""


GLOSSARY: Mapping[str, Term] = {
    "vcr": Term(
        "VCR",
        "Variance-covariance regularisation: a penalty on the features of inner layers. Its "
        "variance term keeps each feature from going flat, its covariance term keeps two features "
        "from saying the same.",
        "VCR|variance-covariance regularisation|regularisation",
    ),
    "twins": Term(
        "twins",
        "Two runs that differ in one thing only: one has VCR, the other has not. Same seed, same "
        "first weights, same batches.",
        "twin|pair",
    ),
    "run": Term(
        "run",
        "One network, trained once with one set of settings. It goes on when the page is closed, "
        "and its link finds it again.",
        "run",
    ),
    "layer": Term(
        "layer",
        "One stage of the network: it takes the numbers of the stage before and makes new ones.",
        "layer|block",
    ),
    "feature": Term(
        "feature",
        "One of the numbers that a layer computes from every image, also called a dimension.",
        "feature|dimension",
    ),
    "variance": Term(
        "variance",
        "How much a feature changes from image to image: the mean squared distance from its mean. "
        "A feature with variance 0 says the same about everything.",
        "variance",
    ),
    "spread": Term(
        "standard deviation",
        "The square root of the variance, in the feature's own unit: its spread. VCR asks every "
        "feature for a spread of at least the target.",
        "standard deviation|spread",
        number="std_q50",
    ),
    "target-spread": Term(
        "target",
        "The standard deviation that VCR asks of every feature, 1 unless it was changed. A feature "
        "that has reached it is left alone.",
        "target|target spread",
    ),
    "covariance": Term(
        "covariance",
        "How far two features rise and fall together. It is 0 where they vary independently, and "
        "grows with the size of the features.",
        "covariance",
    ),
    "correlation": Term(
        "correlation",
        "Covariance on a scale from −1 to 1: at 0 two features have nothing in common, at 1 or −1 "
        "one repeats the other. The typical one is the root mean square over all pairs.",
        "correlation|typical correlation",
        number="rms_correlation",
    ),
    "matrix": Term(
        "matrix",
        "A table with a row and a column for every feature. The field where two of them meet is "
        "coloured by how they go together: green the same way, violet opposite ways.",
        "matrix|matrices|row and column|heatmap",
    ),
    "direction": Term(
        "independent direction",
        "A mix of features that varies on its own, uncorrelated with all others. There are at most "
        "as many as there are features, and fewer than there are samples.",
        "independent direction|direction",
    ),
    "rank": Term(
        "effective rank",
        "How many independent directions the features really use: the exponential of the entropy "
        "of the singular values, from 1 to the number of features. From n samples it is n − 1 at "
        "most: look at n beside it.",
        "effective rank",
        number="effective_rank",
    ),
    "spectrum": Term(
        "spectrum",
        "The variances along the independent directions, the largest first (the eigenvalues of "
        "the covariance matrix). If it falls steeply, few directions carry everything.",
        "spectrum|eigenvalue",
    ),
    "collapse": Term(
        "collapse",
        "Features that use only a few of their directions: what the task does not ask for is gone.",
        "collapsed|collapse",
    ),
    "dead": Term(
        "dead dimension",
        "A feature that hardly changes from image to image: its spread is below a hundredth of the "
        "target. In a map of correlations it stays blank.",
        "dead|dead dimension",
    ),
    "hinge": Term(
        "hinge",
        "max(0, target − standard deviation): how far a feature falls short of the target. Only "
        "features that are too flat have an active hinge and feel the variance term.",
        "too flat|hinge|go flat|flat",
        number="active_hinges",
    ),
    "variance-term": Term(
        "variance term",
        "The mean over all features of how far each falls short of the target spread, summed over "
        "the layers. 0 where all features have reached it.",
        "variance term",
        number="loss/variance",
    ),
    "covariance-term": Term(
        "covariance term",
        "The mean squared covariance between different features, summed over the layers. 0 where "
        "no feature repeats another.",
        "covariance term",
        number="loss/covariance",
    ),
    "penalty": Term(
        "penalty",
        "What VCR adds to the loss: each of its two terms times its weight.",
        "penalty|added to the loss",
        number="loss/penalty",
    ),
    "weight": Term(
        "weight",
        "How strongly a term of the penalty counts in the loss. 0 switches it off.",
        "weight|variance weight|covariance weight",
    ),
    "gradient-ratio": Term(
        "gradient ratio",
        "The length of the penalty's gradient at a layer divided by that of the task's. Below 1 % "
        "the penalty is idle; above 1,000 % the task is hardly learned.",
        "gradient|gradient ratio",
        number="gradient_ratio",
    ),
    "loss": Term(
        "loss",
        "The error that training makes smaller, step by step.",
        "loss|error",
        number="loss/task",
    ),
    "source": Term(
        "source task",
        "The one task that the network is trained for.",
        "source task|trained on|source loss|source|task that was trained",
    ),
    "transfer": Term(
        "transfer",
        "How well the features serve tasks that the network was never trained for.",
        "transfer",
    ),
    "probe": Term(
        "linear probe",
        "A linear classifier trained on the finished features, which stay as they are. What it "
        "gets right on held-out images is what the features still know.",
        "linear probe|probe|linear classifier|probed",
    ),
    "knn": Term(
        "kNN",
        "Nearest neighbours: an image gets the label of the training images whose features are "
        "most like its own.",
        "kNN|nearest neighbour",
    ),
    "accuracy": Term(
        "accuracy",
        "The share of held-out images that are named correctly.",
        "accuracy|accuracies",
    ),
    "chance": Term(
        "chance",
        "What blind guessing would reach: one in as many as there are classes.",
        "chance|guessing",
    ),
    "step": Term(
        "step",
        "One update of the weights, from one batch of images.",
        "step",
    ),
    "epoch": Term("epoch", "Once through all training images.", "epoch"),
    "batch": Term("batch", "The images of one step.", "batch|batches|batch size"),
    "sample": Term(
        "sample",
        "One row behind a covariance: an image, or a place in an image for layers that keep "
        "the picture's shape.",
        "sample",
    ),
    "noise-floor": Term(
        "noise floor",
        "The covariance that independent features show by accident when it is measured from a "
        "limited number of samples. Below it there is nothing to see.",
        "noise floor",
    ),
    "seed": Term(
        "seed",
        "The number that all chance of a run starts from. The same seed gives the same run again.",
        "seed",
    ),
    "learning-rate": Term(
        "learning rate",
        "The size of the steps of the optimiser.",
        "learning rate",
    ),
    "cadence": Term(
        "cadence",
        "How often the run reports: numbers often, matrices more rarely, probes now and then.",
        "cadence|cadence of reports",
    ),
    "snapshot": Term(
        "snapshot",
        "The matrices of all layers, kept at one step; the slider moves through them.",
        "snapshot",
    ),
    "checkpoint": Term(
        "checkpoint",
        "The network's weights, kept at one step: a run can go on, or be forked, from there.",
        "checkpoint",
    ),
    "fork": Term(
        "fork",
        "A new run that goes on from a checkpoint of another one, with other settings.",
        "fork|forked",
    ),
    "histogram": Term(
        "histogram",
        "How many features fall into each range of values.",
        "histogram",
    ),
    "band": Term(
        "band",
        "The shaded range around a line; the chart says what lies within.",
        "band",
    ),
    "standard-error": Term(
        "standard error",
        "How sure a mean over seeds is: their standard deviation, divided by the square root of "
        "their number.",
        "standard error",
    ),
    "interval": Term(
        "95 % interval",
        "Where the true difference lies, with a method that is right 19 times in 20. Where it "
        "leaves 0 out, the difference is not just chance.",
        "95 % interval|interval",
    ),
    "gain": Term(
        "gain",
        "Percentage points more with VCR than without, at the last step that both have reached.",
        "gain",
    ),
    "clip": Term(
        "clip",
        "A short piece of a video: some pictures, one after the other. Networks for video see it "
        "whole.",
        "clip|video",
    ),
    "point": Term(
        "point",
        "A percentage point: from 80 % to 85 % are 5 points.",
        "percentage point|point",
    ),
}

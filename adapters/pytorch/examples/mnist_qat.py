"""Trains a perceptron on MNIST with quantized weights, and without.

python mnist_qat.py                    scikit-learn's digits, half a minute
python mnist_qat.py --data DIR         the four files of MNIST (or Fashion-MNIST) in DIR
python mnist_qat.py --activations --runs 20 --json result.json
"""

import images
import qat
from torch import nn

WIDTH = 64


def make(data: images.ImageSet) -> nn.Module:
    """Images [n, channels, side, side] to logits [n, 10]."""
    channels, side = data.shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * side * side, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, images.CLASSES),
    )


if __name__ == "__main__":
    options = qat.arguments(
        "Quantization-aware training of a perceptron on MNIST, or on scikit-learn's digits.",
        runs=5,
        steps=300,
        steps_of_files=5000,
    )
    recipe = qat.Recipe("mnist_qat", make, learning_rate=3e-3)
    qat.run(recipe, lambda: images.reader(options.data, images.mnist), options)

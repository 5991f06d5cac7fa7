"""Writes scikit-learn's diabetes data, 442 patients, as a CSV file.

python configs/tables/diabetes.py diabetes.csv
"""

import csv
import sys

from sklearn.datasets import load_diabetes

if __name__ == "__main__":
    data = load_diabetes(scaled=False)
    with open(sys.argv[1], "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*data.feature_names, "target"])
        writer.writerows(
            [f"{value:g}" for value in (*row, target)]
            for row, target in zip(data.data, data.target, strict=True)
        )
